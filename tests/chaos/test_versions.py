"""Another version of the kinds, or none, and a control plane that is put back to yesterday: on a plane of these tests' own."""

from __future__ import annotations

import json
import os
import shutil
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.chaos.conftest import FORGETFUL
from tests.chaos.proxy import KEYS
from tests.e2e.team import MERGE
from tests.running import wait_for
from tests.sinks import SINKS, alone

from keywright.devcluster import Cluster
from keywright.devcluster.components import VAULT_SERVER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.chaos.stage import Stage, World
    from tests.sinks import Sink

pytestmark = [pytest.mark.plane, pytest.mark.slow, pytest.mark.xdist_group("chaos-versions")]

CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/apikeys.keywright.dev"


@pytest.mark.parametrize("sink", SINKS)
def test_etcd_restored_to_yesterday(fragile: World, sink: Sink):
    """K13: what was done since is not known any more: no live key is revoked for it, strays are counted, dead keys are replaced."""
    with fragile.stage(sink) as stage:
        operator = stage.an_operator()
        for name, overlap in (("kept", "0s"), ("overlapping", "48h"), ("rotated", "0s"), ("deleted", "0s")):
            stage.create(name, rotation={"overlap": overlap})
        before = {name: stage.ready(name)["keyId"] for name in ("kept", "overlapping", "rotated", "deleted")}
        hold = stage.proxy.hold("POST", KEYS, committed=True)
        stage.create("underway")
        hold.met()
        yesterday = snapshot(fragile.plane.cluster, stage.folder)
        hold.release()
        stage.ready("underway")
        for name in ("overlapping", "rotated"):
            stage.annotate(name, rotate="now")
        since = {name: stage.ready(name, revision=2)["keyId"] for name in ("overlapping", "rotated")}
        stage.create("created")
        since["created"] = stage.ready("created")["keyId"]
        stage.delete("deleted")
        stage.nothing_left("deleted")
        wait_for(lambda: before["rotated"] not in stage.tagged(), "the older key is revoked")
        operator.kill()
        restore(fragile.plane.cluster, yesterday)
        operator.start()
        # Vault was not put back: what stands there is newer than the status, and is replaced; what nobody asks for any more stays.
        anew, left = (("overlapping",), 1) if stage.sink == "vault" else ((), 0)
        for name in ("rotated", "deleted", *anew):
            stage.ready(name, revision=2)
        stage.holds(strays=len(since) - left)
        assert set(since.values()) <= stage.tagged().keys()
        same = {"kept", "overlapping"} - set(anew)
        assert {name: stage.status(name)["keyId"] for name in same}.items() <= before.items()
        wait_for(lambda: stage.issuer_status().get("strays") == len(since), "they are counted")


def snapshot(cluster: Cluster, folder: Path) -> Path:
    """A copy of etcd's data, taken while it stands still, as a disk's snapshot is."""
    cluster.pause_etcd()
    try:
        return Path(shutil.copytree(cluster.directory / "etcd" / "data", folder / "yesterday"))
    finally:
        cluster.resume_etcd()


def restore(cluster: Cluster, data: Path) -> None:
    """Bring the whole control plane up again from a copy of etcd's data; Vault stays as it is."""
    cluster.stop_apiserver(grace=0)
    for name, pid in cluster.pids.items():
        if name != VAULT_SERVER:
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: cluster.pids.keys() <= {VAULT_SERVER}, "all of it has ended")
    shutil.rmtree(cluster.directory / "etcd" / "data")
    shutil.copytree(data, cluster.directory / "etcd" / "data")
    Cluster.up(cluster.directory, apiserver_flags=FORGETFUL)


@contextmanager
def another_schema(
    stage: Stage, change: Callable[[dict[str, Any]], None], probe: dict[str, Any], *, kept: bool
) -> Iterator[None]:
    """Another version's ApiKey is installed, whose status has been changed so; in force once the probe is kept, or is not."""
    crd = stage.plane.call("GET", CRD)
    spec = json.dumps(crd["spec"])
    status = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    change(status)
    stage.plane.call("PUT", CRD, crd)
    try:
        wait_for(lambda: is_kept(stage, probe) is kept, "the schema is in force")
        yield
    finally:
        crd = stage.plane.call("GET", CRD)
        stage.plane.call("PUT", CRD, crd | {"spec": json.loads(spec)})
        wait_for(lambda: is_kept(stage, probe) is (not kept), "the schema is as it was")


def is_kept(stage: Stage, probe: dict[str, Any]) -> bool | None:
    """Whether a status may hold this; None: the apiserver does not say."""
    try:
        answer = stage.plane.call(
            "PATCH", f"{stage._path('probe')}/status?dryRun=All", {"status": probe}, content_type=MERGE
        )
    except RuntimeError:
        return None
    return probe.keys() <= answer["status"].keys()


@alone("secret", "It is about kinds and statuses, which are the same for both.")
def test_a_status_that_a_newer_version_wrote(fragile: World):
    """C13: a field that is not known is passed over; a value that cannot be read is refused with its name, and nothing is revoked."""
    with fragile.stage() as stage:
        operator = stage.an_operator()
        names = ("probe", "passed-over", "refused")
        for name in names:
            stage.create(name)
            stage.ready(name)
            stage.annotate(name, rotate="now")
        for name in names:
            stage.ready(name, revision=2)
        operator.stop()
        live = stage.tagged()
        assert len(live) == 2 * len(names)
        closed = {"id": "aaaaaaaa", "closedAt": "2026-01-01T00:00:00Z", "outcome": "superseded"}
        closed["issuer"] = stage.status("refused")["issuer"]

        def newer(status: dict[str, Any]) -> None:
            status["future"] = {"type": "string"}
            status["closedAttempts"]["items"]["properties"]["outcome"]["enum"].append("superseded")

        with another_schema(stage, newer, {"future": "x"}, kept=True):
            for name, field in (("passed-over", {"future": "x"}), ("refused", {"closedAttempts": [closed]})):
                stage.plane.call("PATCH", f"{stage._path(name)}/status", {"status": field}, content_type=MERGE)
            operator.start()
            message = stage.says("InvalidSpec", "refused", of_type="Stalled")
            assert "status.closedAttempts[0].outcome" in message
            assert {name: stage.posts(name) for name in names} == dict.fromkeys(names, 2), "an upgrade costs no key"
            stage.delete("refused")
            stage.annotate("refused", compromised="yes")
            stage.annotate("passed-over", compromised="yes")
            stage.ready("passed-over", revision=3)
            wait_for(lambda: "previous" not in stage.status("passed-over"), "one key is left of it")
            assert stage.exists("refused")
            mine = {key_id for key_id, name in live.items() if "/refused " in name}
            assert len(mine) == 2
            assert mine <= stage.tagged().keys()
            stage.plane.call(
                "PATCH", f"{stage._path('refused')}/status", {"status": {"closedAttempts": None}}, content_type=MERGE
            )
            stage.gone("refused")
        stage.holds()


@alone("secret", "It is about kinds and statuses, which are the same for both.")
def test_kinds_that_are_not_served_yet(fragile: World):
    """K5: an operator that starts before its kinds waits, says what to do, and begins once they are there."""
    with fragile.stage() as stage:
        installed = stage.plane.call("GET", CRD)
        [version] = installed["spec"]["versions"]
        stage.plane.call(
            "PUT", CRD, installed | {"spec": installed["spec"] | {"versions": [version | {"served": False}]}}
        )
        operator = stage.an_operator(started=False)
        try:
            wait_for(lambda: not is_served(stage), "the kind is not served any more")
            operator.begin()
            operator.says("waiting: .* run kubectl apply --server-side -f crds")
        finally:
            stage.plane.call("PUT", CRD, stage.plane.call("GET", CRD) | {"spec": installed["spec"]})
        wait_for(lambda: is_served(stage), "the kind is served")
        stage.create()
        stage.holds()


def is_served(stage: Stage) -> bool:
    """Whether the apiserver knows ApiKeys."""
    try:
        stage.objects()
    except RuntimeError as error:
        if " 404 " not in str(error):
            raise
        return False
    return True


@pytest.mark.parametrize("field", ["attempt", "recentIssuances"])
@alone("secret", "It is about kinds and statuses, which are the same for both.")
def test_a_field_that_an_older_kind_drops(fragile: World, field: str):
    """K14: noticed, said, tried seldom; without a written intent no key is asked for, and none twice."""
    with fragile.stage() as stage:
        operator = stage.an_operator()
        stage.create("probe")
        status = stage.ready("probe")
        probe = {
            "attempt": {"id": "a", "startedAt": "2026-01-01T00:00:00Z", "reason": "a", "generation": 1, "target": "a"}
        }
        probe["attempt"]["issuer"] = status["issuer"]
        probe["recentIssuances"] = [{"at": "2026-01-01T00:00:00Z", "reason": "a"}]
        with another_schema(stage, lambda schema: schema.pop(field), {field: probe[field]}, kept=False):
            stage.create()
            operator.says(f"dropped status.{field}")
            wait_for(
                lambda: operator.said().count(f"dropped status.{field}") >= 3 or stage.posts(), "it is tried again"
            )
            assert stage.posts() == (field == "recentIssuances")
            assert operator.said().count(f"dropped status.{field}") <= 6, "no hot loop"
        stage.ready()
        stage.holds()
        assert stage.posts() == 1
