"""The control plane goes away, stands still, forgets, or speaks another version of the kinds: on a plane of these tests' own."""

from __future__ import annotations

import http
import json
import os
import shutil
import signal
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.chaos.kept import KeptPlane
from tests.chaos.proxy import KEYS, ONE_KEY
from tests.chaos.stage import World
from tests.conftest import FOLDER, apply_all
from tests.e2e.team import GROUP, MERGE
from tests.running import wait_for

from keywright.devcluster import Cluster, write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.chaos.nursery import ChaosOperator, Nursery
    from tests.chaos.proxy import Loop
    from tests.chaos.stage import Stage
    from tests.running import Sandbox

pytestmark = [pytest.mark.plane, pytest.mark.slow, pytest.mark.xdist_group("chaos-apiserver")]

MANY = 50
PATIENCE = 12.0
"""Seconds for which the operator surely still tries to deliver a key that it has in hand."""
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/apikeys.keywright.dev"
FLOW = "/apis/flowcontrol.apiserver.k8s.io/v1"
NO_ROOM = {
    "type": "Limited",
    "limited": {"nominalConcurrencyShares": 0, "limitResponse": {"type": "Reject"}, "borrowingLimitPercent": 0},
}
FOR_KEYWRIGHT = {
    "priorityLevelConfiguration": {"name": "no-room"},
    "matchingPrecedence": 1000,
    "rules": [
        {
            "subjects": [
                {"kind": "ServiceAccount", "serviceAccount": {"namespace": "keywright-system", "name": "keywright"}}
            ],
            "resourceRules": [
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
            ],
        }
    ],
}
FORGETFUL = ("--etcd-compaction-interval=2s",)
"""Old versions are gone at once: a watch that resumes from one is told 410."""


@pytest.fixture(scope="module")
def fragile(
    sandbox: Sandbox, nursery: Nursery, loop: Loop, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """As `world`, on a control plane that may be broken; it lies where the run's other planes are taken down."""
    lies = Path(os.environ[FOLDER])
    lies.mkdir(mode=0o700, parents=True, exist_ok=True)
    cluster = Cluster.up(lies / "fragile", apiserver_flags=FORGETFUL)
    plane = KeptPlane(cluster, ssl.create_default_context(cafile=str(cluster.ca_file)))
    apply_all(plane)
    folder = tmp_path_factory.mktemp("fragile")
    token = plane.token_of("keywright-system", "keywright")
    write_kubeconfig(folder / "kubeconfig", server=plane.server, ca_file=plane.ca_file, token=token)
    yield World(plane, sandbox, nursery, loop, folder / "kubeconfig", folder)
    plane.close()
    cluster.down()


@contextmanager
def fifty(world: World, **options: Any) -> Iterator[tuple[Stage, ChaosOperator, list[str]]]:
    """Fifty ApiKeys that are being issued: slowly enough that there is a midst to it. `options`: the operator's."""
    with world.stage() as stage:
        stage.patch_issuer({"spec": {"requests": {"perSecond": 25, "burst": 5}}})
        operator = stage.an_operator(**options)
        names = [f"key-{i:02}" for i in range(MANY)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(stage.create, names))
        wait_for(lambda: len(stage.proxy.asked("POST", KEYS)) >= MANY // 10, "keys are being issued", pause=0.002)
        yield stage, operator, names
        stage.holds()
        assert {stage.status(name)["revision"] for name in names if stage.exists(name)} == {1}


@contextmanager
def away(cluster: Cluster) -> Iterator[None]:
    """The apiserver is killed, and is there again afterwards."""
    cluster.stop_apiserver(grace=0)
    try:
        yield
    finally:
        cluster.start_apiserver()


def test_an_apiserver_that_dies(fragile: World):
    """K3: no key is asked for that was not written down; one in hand is delivered when it is back; no revocation is lost."""
    cluster = fragile.plane.cluster
    # As the admin: in its first moments a new apiserver refuses everybody else, and a delivery that is refused is given up.
    with fifty(fragile, kubeconfig=str(fragile.plane.kubeconfig)) as (stage, operator, names):
        hold = stage.proxy.hold("POST", KEYS, committed=True)
        in_hand = hold.met()
        with away(cluster):
            hold.release()
            released = time.monotonic()
            operator.says("the apiserver at .* cannot be reached")
            assert stands_still(stage) < MANY, "it died in the midst"
        patient = time.monotonic() - released < PATIENCE
        stage.holds()
        name = json.loads(in_hand.body)["name"].partition("/")[2].partition(" ")[0]
        assert stage.posts(name) == 1 or not patient, "the key in hand was delivered"

        hold = stage.proxy.hold("DELETE", ONE_KEY, committed=True)
        for name in names[:10]:
            stage.delete(name)
        hold.met()
        with away(cluster):
            hold.release()
        for name in names[:10]:
            stage.gone(name)
        wait_for(lambda: len(stage.tagged()) == MANY - 10, "no revocation is lost")


def test_etcd_that_stands_still(fragile: World):
    """K3: requests hang, and are committed later or never; with the operator killed meanwhile as well as without."""
    cluster = fragile.plane.cluster
    with fifty(fragile) as (stage, operator, names):
        for kill in (False, True):
            cluster.pause_etcd()
            try:
                asked = stands_still(stage)
                if kill:
                    operator.kill()
            finally:
                cluster.resume_etcd()
            if kill:
                operator.start()
            assert asked < MANY, "it stood still in the midst"
            wait_for(lambda asked=asked: len(stage.proxy.asked("POST", KEYS)) > asked, "it goes on", pause=0.002)
        for name in names:
            assert stage.posts(name) <= 1 + len(stage.status(name).get("closedAttempts", ()))


def stands_still(stage: Stage) -> int:
    """How many keys have been asked for, once that number does not grow any more."""
    asked = -1

    def still() -> bool:
        nonlocal asked
        before, asked = asked, len(stage.proxy.asked("POST", KEYS))
        return asked == before

    wait_for(still, "nothing more is asked for", pause=0.5)
    return asked


def test_what_a_watch_did_not_tell(fragile: World):
    """K2: frozen while much was edited, the apiserver restarted and old versions forgotten: watches begin anew, and all is seen."""
    with fragile.stage() as stage:
        operator = stage.an_operator()
        names = [f"key-{i:02}" for i in range(8)]
        for name in names:
            stage.create(name, rotation={"overlap": "0s"})
        uids = {}
        for name in names:
            stage.ready(name)
            uids[name] = stage.object(name)["metadata"]["uid"]
        version = stage.object(names[0])["metadata"]["resourceVersion"]
        operator.signal(signal.SIGSTOP)
        fragile.plane.cluster.restart_apiserver(grace=0)  # and with it the connections that events would wait in
        edited, deleted, robbed = names[:3], names[3:5], names[5]
        for name in edited:
            stage.patch(name, {"spec": {"label": f"{name} edited"}})
        for name in deleted:
            stage.delete(name)
        stage.delete_secret(f"{robbed}-key")
        stage.create("new")
        wait_for(lambda: is_forgotten(stage, version), "old versions are forgotten")
        operator.signal(signal.SIGCONT)
        for name in deleted:
            stage.nothing_left(name, uids[name])
        for name in (*edited, robbed):
            stage.ready(name, revision=2)
        stage.ready("new")
        stage.holds()


def is_forgotten(stage: Stage, version: str) -> bool:
    """Whether a watch that goes on from this version is refused."""
    query = f"watch=1&resourceVersion={version}&timeoutSeconds=1"
    try:
        said = stage.plane.call("GET", f"{GROUP}/namespaces/{stage.namespace}/apikeys?{query}")
    except RuntimeError as error:
        return " 410 " in str(error)
    except json.JSONDecodeError:  # several events, or none
        return False
    return said["type"] == "ERROR" and said["object"]["code"] == http.HTTPStatus.GONE


def test_etcd_restored_to_yesterday(fragile: World):
    """K13: what was done since is not known any more: no live key is revoked for it, strays are counted, dead keys are replaced."""
    with fragile.stage() as stage:
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
        stage.ready("rotated", revision=2)
        stage.ready("deleted", revision=2)
        stage.holds(strays=len(since))
        assert set(since.values()) <= stage.tagged().keys()
        assert {name: stage.status(name)["keyId"] for name in ("kept", "overlapping")}.items() <= before.items()
        wait_for(lambda: stage.issuer_status().get("strays") == len(since), "they are counted")


def snapshot(cluster: Cluster, folder: Path) -> Path:
    """A copy of etcd's data, taken while it stands still, as a disk's snapshot is."""
    cluster.pause_etcd()
    try:
        return Path(shutil.copytree(cluster.directory / "etcd" / "data", folder / "yesterday"))
    finally:
        cluster.resume_etcd()


def restore(cluster: Cluster, data: Path) -> None:
    """Bring the whole control plane up again from a copy of etcd's data."""
    cluster.stop_apiserver(grace=0)
    for pid in cluster.pids.values():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not cluster.pids, "all of it has ended")
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
        wait_for(lambda: is_kept(stage, probe) == kept, "the schema is in force")
        yield
    finally:
        crd = stage.plane.call("GET", CRD)
        stage.plane.call("PUT", CRD, crd | {"spec": json.loads(spec)})
        wait_for(lambda: is_kept(stage, probe) != kept, "the schema is as it was")


def is_kept(stage: Stage, probe: dict[str, Any]) -> bool:
    """Whether a status may hold this."""
    try:
        answer = stage.plane.call(
            "PATCH", f"{stage._path('probe')}/status?dryRun=All", {"status": probe}, content_type=MERGE
        )
    except RuntimeError:
        return False
    return probe.keys() <= answer["status"].keys()


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


def test_rights_and_room_that_are_missing_for_a_moment(fragile: World):
    """K4: 403 while rights are being applied, 429 by priority and fairness: waited out, by a running operator and by one that starts."""
    with fragile.stage() as stage:
        operator, plane = stage.an_operator(), stage.plane
        path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
        binding = plane.call("GET", f"{path}/keywright")
        plane.call("DELETE", f"{path}/keywright")
        stage.create("forbidden")
        operator.says("403 Forbidden")
        other = stage.an_operator(started=False)
        operator.stop()
        other.begin()
        other.says("waiting: .*403 Forbidden")
        plane.call(
            "POST",
            path,
            {key: binding[key] for key in ("apiVersion", "kind", "roleRef", "subjects")}
            | {"metadata": {"name": "keywright"}},
        )
        stage.holds()

        for resource, spec in (("prioritylevelconfigurations", NO_ROOM), ("flowschemas", FOR_KEYWRIGHT)):
            plane.call("POST", f"{FLOW}/{resource}", {"metadata": {"name": "no-room"}, "spec": spec})
        stage.create("throttled")
        other.says("429")
        for resource in ("flowschemas", "prioritylevelconfigurations"):
            plane.call("DELETE", f"{FLOW}/{resource}/no-room")
        stage.holds()
        assert stage.posts("forbidden") == stage.posts("throttled") == 1
