"""The control plane goes away, stands still, forgets, or turns the operator away, and its Vault is sealed: of these tests' own, both."""

from __future__ import annotations

import http
import itertools
import json
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.chaos.proxy import KEYS, ONE_KEY
from tests.chaos.stage import VaultStage
from tests.e2e.team import GROUP
from tests.running import wait_for
from tests.sinks import SINKS, alone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.chaos.nursery import ChaosOperator
    from tests.chaos.proxy import Gate
    from tests.chaos.stage import Stage, World
    from tests.sinks import Sink

    from keywright.devcluster import Cluster

pytestmark = [pytest.mark.plane, pytest.mark.slow, pytest.mark.xdist_group("chaos-apiserver")]

MANY = 80
"""More than there are workers: an attempt that is written down is asked for, whatever the apiserver does meanwhile."""
NAMES = [f"key-{i:02}" for i in range(MANY)]
PATIENCE = 12.0
"""Seconds for which the operator surely still tries to deliver a key that it has in hand."""
LOGIN = 15
"""Seconds for which Vault lets in whom it has let in."""
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


@contextmanager
def served(world: World, sink: Sink, **options: Any) -> Iterator[tuple[Stage, ChaosOperator]]:
    """An operator, and an issuer that asks for keys one after the other. `options`: the operator's."""
    with world.stage(sink) as stage:
        stage.patch_issuer({"spec": {"requests": {"perSecond": 20, "burst": 5}}})
        yield stage, stage.an_operator(**options)
        stage.holds()


def midst(stage: Stage, cause: Callable[[str], object]) -> Gate:
    """Of so many ApiKeys that are to get a key some have it, and others' requests wait at the gate, for as long as a test needs."""
    gate = stage.proxy.gate("POST", KEYS, through=MANY // 10, committed=False)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(cause, NAMES))
    wait_for(lambda: gate.waiting, "keys are being issued", pause=0.002)
    return gate


@contextmanager
def away(cluster: Cluster) -> Iterator[None]:
    """The apiserver is killed, and is there again afterwards."""
    cluster.stop_apiserver(grace=0)
    try:
        yield
    finally:
        cluster.start_apiserver()


@pytest.mark.parametrize("sink", SINKS)
def test_an_apiserver_that_dies(fragile: World, sink: Sink):
    """K3: no key is asked for that was not written down; one in hand is delivered when it is back; no revocation is lost."""
    cluster = fragile.plane.cluster
    # As the admin: in its first moments a new apiserver refuses everybody else, and a delivery that is refused is given up.
    with served(fragile, sink, kubeconfig=str(fragile.plane.kubeconfig)) as (stage, operator):
        hold = stage.proxy.hold("POST", KEYS, committed=True)
        gate = midst(stage, lambda name: stage.create(name, rotation={"overlap": "0s"}))
        in_hand = hold.met()
        with away(cluster):
            gate.open()
            hold.release()
            released = time.monotonic()
            operator.says("the apiserver at .* cannot be reached")
            assert stands_still(stage) < MANY, "it died in the midst"
        patient = time.monotonic() - released < PATIENCE
        stage.holds()
        name = json.loads(in_hand.body)["name"].partition("/")[2].partition(" ")[0]
        assert stage.posts(name) == 1 or not patient, "the key in hand was delivered"

        hold = stage.proxy.hold("DELETE", ONE_KEY, committed=True)
        for name in NAMES[:10]:
            stage.delete(name)
        hold.met()
        with away(cluster):
            hold.release()
        for name in NAMES[:10]:
            stage.gone(name)
        wait_for(lambda: len(stage.tagged()) == MANY - 10, "no revocation is lost")


@pytest.mark.parametrize("sink", SINKS)
def test_etcd_that_stands_still(fragile: World, sink: Sink):
    """K3: requests hang, and are committed later or never; with the operator killed meanwhile as well as without."""
    cluster = fragile.plane.cluster
    with served(fragile, sink) as (stage, operator):
        gate = midst(stage, lambda name: stage.create(name, rotation={"overlap": "0s"}))
        cluster.pause_etcd()
        try:
            gate.open()
            stands_still(stage)
        finally:
            cluster.resume_etcd()
        stage.holds()
        assert {stage.status(name)["revision"] for name in NAMES} == {1}
        gate = midst(stage, lambda name: stage.annotate(name, rotate="now"))
        cluster.pause_etcd()
        try:
            gate.open()
            stands_still(stage)
            operator.kill()
        finally:
            cluster.resume_etcd()
        operator.start()
        for name in NAMES:
            wait_for(lambda name=name: stage.status(name)["revision"] == 2, f"{name} is rotated")
        stage.holds()
        for name in NAMES:
            assert stage.posts(name) <= 2 + len(stage.status(name).get("closedAttempts", ())), name


def stands_still(stage: Stage) -> int:
    """How many keys have been asked for, once that number does not grow any more."""
    asked = -1

    def still() -> bool:
        nonlocal asked
        before, asked = asked, len(stage.proxy.asked("POST", KEYS))
        return asked == before

    wait_for(still, "nothing more is asked for", pause=0.5)
    return asked


@alone("secret", "No watch tells of what stands in Vault; of ApiKeys it tells the same.")
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


@alone("secret", "A right that is missing at the apiserver lets no key into any target.")
def test_rights_and_room_that_are_missing_for_a_moment(fragile: World):
    """K4: 403 while rights are being applied, 429 by priority and fairness: waited out, by a running operator and by one that starts."""
    with fragile.stage() as stage:
        operator, plane = stage.an_operator(), stage.plane
        path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
        binding = plane.call("GET", f"{path}/keywright")
        plane.call("DELETE", f"{path}/keywright")
        # It takes the apiserver a moment to know of it.
        wait_for(lambda: not plane.may("patch", "keywright.dev", "apikeys", stage.namespace), "the right is gone")
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
        # One request at a time is let through even so: there have to be several.
        names = (f"throttled-{i:03}" for i in itertools.count())
        wait_for(
            lambda: stage.create(next(names)) and " with 429" in other.said(),
            "it is turned away",
            pause=0,
        )
        for resource in ("flowschemas", "prioritylevelconfigurations"):
            plane.call("DELETE", f"{FLOW}/{resource}/no-room")
        stage.holds()
        assert stage.posts("forbidden") == 1


@contextmanager
def sealed(stage: VaultStage) -> Iterator[None]:
    """As an administrator seals Vault who fears a thief, and unseals it afterwards."""
    said = stage.plane.cluster.log("vault").read_text("utf-8", errors="replace")
    key = re.search(r"Unseal Key: (\S+)", said)
    assert key, "a development server tells it"
    stage.vault.call("PUT", "sys/seal")
    try:
        yield
    finally:
        stage.vault.call("PUT", "sys/unseal", {"key": key[1]})


@alone("vault", "An apiserver cannot be sealed; away it is in the tests above.")
def test_a_vault_that_is_sealed(fragile: World):
    """V1: for longer than any login lasts, and the operator begins anew meanwhile: no key is asked for, one that is to end is dead.

    Unsealed, all goes on by itself: what fell due is rotated, what is new is issued, and the path of the dead key goes.
    """
    with fragile.stage("vault") as stage:
        assert isinstance(stage, VaultStage)
        stage.vault.role(stage.namespace, stage.namespace, token_ttl=f"{LOGIN}s", token_max_ttl=f"{LOGIN}s")
        operator = stage.an_operator()
        before = {}
        for name in ("old", "due", "doomed"):
            stage.create(name, rotation={"overlap": "0s"})
            before[name] = stage.ready(name)["keyId"]
        with sealed(stage):
            begun = time.monotonic()
            stage.create("new")
            stage.annotate("due", rotate="now")
            stage.delete("doomed")
            for name in ("new", "due"):
                wait_for(lambda name=name: says_away(stage, name), f"{name} says that Vault is away")
            wait_for(lambda: "sealed" in stage.store_ready().get("message", ""), "the store says why")
            wait_for(lambda: before["doomed"] not in stage.tagged(), "the key that is to end is dead")
            operator.kill()
            operator.start()
            time.sleep(max(0.0, LOGIN + 1 - (time.monotonic() - begun)))  # until no login is left
            assert {name: stage.posts(name) for name in ("old", "due", "new")} == {"old": 1, "due": 1, "new": 0}
            assert stage.exists("doomed")
            for name in ("old", "due"):
                assert stage.condition(name)["status"] == "True"
        stage.nothing_left("doomed")
        stage.ready("due", revision=2)
        stage.ready("new")
        stage.holds()
        assert {name: stage.posts(name) for name in ("old", "due", "new")} == {"old": 1, "due": 2, "new": 1}
        assert stage.status("old")["keyId"] == before["old"]


def says_away(stage: VaultStage, name: str) -> bool:
    """Whether any condition says that the store cannot be used now."""
    return any(c["reason"] == "StoreUnavailable" for c in stage.status(name).get("conditions", ()))
