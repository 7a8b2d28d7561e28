"""Kill -9 at each boundary between two outside effects, and SIGTERM at the same ones.

The next operator ends with the key that the status names, in the target, and no other; what was delivered is not asked for again.
One chain is one operator that dies at one boundary after the other, each time at work on another ApiKey.
"""

from __future__ import annotations

import signal
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.chaos.consumer import Consumer
from tests.chaos.proxy import KEYS
from tests.conftest import grant
from tests.e2e.together import Scenarios
from tests.running import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.nursery import ChaosOperator
    from tests.chaos.stage import Stage

pytestmark = [pytest.mark.plane, pytest.mark.slow, pytest.mark.xdist_group("chaos-kills")]
scenarios = Scenarios(at_once=18)

OPEN = ("after patch_status:intent", "after create", "after check")
"""Where an attempt is broken off: nobody holds its key, if there is one."""
ISSUING = (
    "before add_finalizer",
    "after add_finalizer",
    *OPEN,
    "after deliver",
    "after patch_status:settle",
)
"""All boundaries of an issuance."""
ROTATING = (
    "before patch_status:intent",
    *OPEN,
    "after deliver",
    "after patch_status:settle",
    "after revoke",
    "after patch_status:drop",
)
"""The same of a rotation without an overlap."""
RESTARTING = (
    "after deliver",
    "after patch_status:settle",
    "before restart",
    "after restart",
    "before patch_status:report",
)
"""Between the delivery of a key and the status that remembers who was restarted for it."""
SERVED = ("after deliver", "after patch_status:settle", "after revoke")
"""Where a wrong order would leave a dead key in the target."""
DELETING = ("before revoke", "after revoke", "after clean", "after remove_finalizer")
POD = 30.0
"""Seconds that a pod has to end: half of what the request that is still held may take."""
ACTS = {"killed": "kill", "told_to_end": "term"}


@dataclass
class Chain:
    """One operator that is killed (`kill`) or told to end (`term`) again and again."""

    stage: Stage
    act: str = "kill"
    operator: ChaosOperator = field(init=False)

    def __post_init__(self) -> None:
        self.operator = self.stage.an_operator()

    def dies(self, place: str, name: str, cause: Callable[[], object]) -> None:
        """What `cause` does brings the operator to the place, at work on the ApiKey of this name, where it ends."""
        since = len(self.operator.said())
        self.stage.fail_at(self.operator, place, self.act, name)
        cause()
        status = self.stage.failed(self.operator, self.act)
        if self.act == "kill":
            assert status == -signal.SIGKILL
            return
        assert status == 0
        assert "a request did not end in time" not in self.operator.said()[since:]
        assert not self.stage.exists(name) or "attempt" not in self.stage.status(name), "what was in flight is finished"

    def comes_back(self, name: str, *, revision: int = 1) -> None:
        """A successor has settled an interrupted attempt, or closed it and made another."""
        self.operator.start()

        def dealt_with() -> bool:
            status = self.stage.status(name)
            return "attempt" not in status and (status.get("revision") == revision or "closedAttempts" in status)

        wait_for(dealt_with, f"what was interrupted of {name} is dealt with")
        tries_again(self.stage, name, revision)

    def asked_for(self, place: str, name: str, *, keys: int) -> None:
        """I5: one request for each key, and one more for each attempt that was broken off; what was delivered is not asked for again."""
        broken_off = len(self.stage.status(name).get("closedAttempts", ()))
        assert keys <= self.stage.posts(name) <= keys + broken_off, place
        assert bool(broken_off) == (self.act == "kill" and place in OPEN), place


def tries_again(stage: Stage, name: str, revision: int) -> None:
    """An edit ends the pause after an attempt that was broken off, and the next attempt is over before anything else is killed.

    Three in a row that kills for others break off would wait for an hour.
    """
    if stage.status(name).get("revision") != revision:
        stage.patch(name, {"spec": {"rotation": {"renewBefore": "20%"}}})
        wait_for(lambda: stage.status(name).get("revision") == revision, f"another attempt of {name} delivers")


def slug(place: str) -> str:
    """A boundary as the name of an ApiKey."""
    return place.replace(" ", "-").replace("_", "-").replace(":", "-")


@scenarios.of(**ACTS)
def at_each_boundary_of_an_issuance(stage: Stage, case: str):
    """C1, C2, C4, C5, C6, C9: one key each in the end; nothing is issued before the intent, and nothing twice after the delivery."""
    chain = Chain(stage, case)
    for place in ISSUING:
        name = slug(place)
        chain.dies(place, name, lambda name=name: stage.create(name))
        if case == "kill" and place.endswith(("add_finalizer", "intent")):
            assert stage.posts(name) == 0, "C1, C2: nothing was asked for"
        chain.comes_back(name)
        if case == "kill" and place == "after create":  # before the next kill, which might take it along
            wait_for(lambda name=name: "AttemptLost" in dict(stage.events(name)), "an event tells of it")
    stage.holds()
    for place in ISSUING:
        assert stage.status(slug(place))["revision"] == 1
        chain.asked_for(place, slug(place), keys=1)
    stage.create("whole")
    whole = [place for place in ISSUING if place.startswith("after")]
    wait_for(lambda: stage.effects(chain.operator, "whole") == whole, f"all effects of an issuance are {whole}")
    lost = [event for event in stage.events(slug("after create")) if event[0] == "AttemptLost"]
    assert bool(lost) == (case == "kill")


@scenarios.of(**ACTS)
def at_each_boundary_of_a_rotation(stage: Stage, case: str):
    """C4 to C7, C9: consumers are served all the time, the old key is revoked in the end, once."""
    chain = Chain(stage, case)
    places = stage.places(*ROTATING)
    names = {place: slug(place) for place in places}
    for name in names.values():
        stage.create(name, rotation={"overlap": "0s"})
    for name in names.values():
        stage.ready(name)
    with ExitStack() as consumers:
        serving = [consumers.enter_context(Consumer(stage, names[place])) for place in SERVED]
        for place, name in names.items():
            chain.dies(place, name, lambda name=name: stage.annotate(name, rotate="now"))
            chain.comes_back(name, revision=2)
        for name in names.values():
            wait_for(lambda name=name: stage.status(name).get("revision") == 2, f"{name} is rotated")
            wait_for(lambda name=name: "previous" not in stage.status(name), f"{name} has one key")
        stage.holds()
    for consumer in serving:
        consumer.check()
    for place, name in names.items():
        chain.asked_for(place, name, keys=2)
        assert stage.readable(f"{name}-key") == 1, f"{place}: the version of a dead key is destroyed"
    assert len(stage.tagged()) == len(names)
    stage.create("whole", rotation={"overlap": "0s"})
    stage.ready("whole")
    stage.annotate("whole", rotate="now")
    whole = [place for place in (*ISSUING, *places) if place.startswith("after")]
    wait_for(
        lambda: stage.effects(chain.operator, "whole") == whole, f"all effects of a key and its rotation are {whole}"
    )


@scenarios.of(**ACTS)
def at_each_boundary_of_a_restart(stage: Stage, case: str):
    """C5, C6, C9: between the delivery and the end of the rollout, each workload is restarted exactly once for the new key."""
    chain = Chain(stage, case)
    with tempfile.TemporaryDirectory() as folder:
        grant(stage.plane, "restart", stage.namespace, Path(folder))
    wait_for(lambda: stage.plane.may("patch", "apps", "statefulsets", stage.namespace), "the right is known")
    names = {place: slug(place) for place in RESTARTING}
    workloads = f"/apis/apps/v1/namespaces/{stage.namespace}/statefulsets"
    for name in names.values():
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "none"}]}}
        spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
        stage.plane.call("POST", workloads, {"metadata": {"name": name}, "spec": spec})
        stage.create(name, rotation={"overlap": "0s", "restart": [{"kind": "StatefulSet", "name": name}]})

    def restarts(name: str) -> int:
        return stage.plane.call("GET", f"{workloads}/{name}")["metadata"]["generation"] - 1

    for name in names.values():
        stage.ready(name)
        wait_for(lambda name=name: restarts(name) == 1 and "rollout" not in stage.status(name), f"{name} is restarted")
    for place, name in names.items():
        chain.dies(place, name, lambda name=name: stage.annotate(name, rotate="now"))
        chain.comes_back(name, revision=2)
    for name in names.values():
        wait_for(lambda name=name: restarts(name) == 2, f"{name} is restarted for the new key")
        wait_for(lambda name=name: "restartedAt" in str(stage.status(name).get("rollout")), "it is written down")
        assert len(stage.status(name)["previous"]) == 1, "it waits for the rollout"
        done = {
            "observedGeneration": 3,
            "replicas": 1,
            "updatedReplicas": 1,
            "readyReplicas": 1,
            "availableReplicas": 1,
        }
        merge = "application/merge-patch+json"
        stage.plane.call("PATCH", f"{workloads}/{name}/status", {"status": done}, content_type=merge)
    for name in names.values():
        wait_for(lambda name=name: "previous" not in stage.status(name), f"{name} has one key")
        assert restarts(name) == 2
    stage.holds()
    for place, name in names.items():
        chain.asked_for(place, name, keys=2)


@scenarios.of(**ACTS)
def at_each_boundary_of_a_deletion(stage: Stage, case: str):
    """C8, C9: current and overlapping keys are dead, the target is gone, the finalizer off."""
    chain = Chain(stage, case)
    names = {place: slug(place) for place in DELETING}
    for name in names.values():
        stage.create(name)
    for name in names.values():
        stage.ready(name)
        stage.annotate(name, rotate="now")
    uids = {}
    for name in names.values():
        assert len(stage.ready(name, revision=2)["previous"]) == 1
        uids[name] = stage.object(name)["metadata"]["uid"]
    for place, name in names.items():
        chain.dies(place, name, lambda name=name: stage.delete(name))
        chain.operator.start()
    for name, uid in uids.items():
        stage.nothing_left(name, uid)
    assert stage.tagged() == {}


@scenarios
def at_each_boundary_of_an_issuance_and_deleted_meanwhile(stage: Stage):
    """C8: killed while it issued, the ApiKey deleted before the next operator comes: nothing of it is left."""
    chain = Chain(stage)
    uids = {}
    for place in ISSUING:
        name = slug(place)
        chain.dies(place, name, lambda name=name: stage.create(name))
        uids[name] = stage.object(name)["metadata"]["uid"]
        stage.delete(name)
        chain.operator.start()
    for name, uid in uids.items():
        stage.nothing_left(name, uid)
    assert stage.tagged() == {}


@scenarios
def at_each_boundary_of_a_recovery(stage: Stage):
    """C4: killed with a key that nobody holds, and killed again while that is found out: fenced, written down, revoked."""
    chain = Chain(stage)
    places = ("before fence", "after fence", "after patch_status:close", "after revoke")
    for place in places:
        name = slug(place)
        chain.dies("after create", name, lambda name=name: stage.create(name))
        chain.dies(place, name, chain.operator.begin)
        chain.comes_back(name)
    stage.holds()
    for place in places:
        chain.asked_for("after create", slug(place), keys=1)


@scenarios
def at_each_boundary_of_a_move_and_of_a_new_layout(stage: Stage):
    """C6, C7: the target is another one, or looks otherwise: the old place is cleaned once, and the key stays the same."""
    chain = Chain(stage)
    places = ("after deliver", "after patch_status:settle", "after revoke", "before clean", "after clean")
    layout = {"template": {"api-key": "${api_key}", "team": "search"}}
    moves = {place: f"moved-{slug(place)}" for place in places}
    layouts = {place: f"laid-out-{slug(place)}" for place in ("before rewrite", "after rewrite")}
    for name in (*moves.values(), *layouts.values()):
        stage.create(name, rotation={"overlap": "0s"})
    before = {name: stage.ready(name)["keyId"] for name in (*moves.values(), *layouts.values())}
    for place, name in moves.items():
        edit = {"spec": {"target": {"secret": {"name": f"{name}-elsewhere"}}}}
        chain.dies(place, name, lambda name=name, edit=edit: stage.patch(name, edit))
        chain.comes_back(name, revision=2)
    for place, name in layouts.items():
        edit = {"spec": {"target": {"secret": layout}}}
        chain.dies(place, name, lambda name=name, edit=edit: stage.patch(name, edit))
        chain.comes_back(name)
    for name in moves.values():
        wait_for(lambda name=name: stage.target(f"{name}-key") is None, f"the old target of {name} is gone")
        wait_for(lambda name=name: "previous" not in stage.status(name), f"{name} has one key")
    for name in layouts.values():
        wait_for(lambda name=name: "team" in stage.target(f"{name}-key")["data"], "it is laid out")
    stage.holds()
    assert {name: stage.posts(name) for name in moves.values()} == dict.fromkeys(moves.values(), 2)
    assert {name: stage.status(name)["keyId"] for name in layouts.values()}.items() <= before.items()


@scenarios
def at_each_boundary_of_a_farewell_that_retains(stage: Stage):
    """C8: deletionPolicy Retain leaves key and target, unbound, wherever the operator died; they are named by their record.

    A Secret is written for it; in Vault nothing is.
    """
    chain = Chain(stage)
    unbinding = ("before rewrite", "after rewrite") if stage.sink == "secret" else ("before remove_finalizer",)
    places = (*unbinding, "after remove_finalizer")
    names = {place: slug(place) for place in places}
    for name in names.values():
        stage.create(name, deletionPolicy="Revoke")
    kept = {}
    for name in names.values():
        kept[name] = stage.ready(name)["keyId"]
    for place, name in names.items():
        chain.operator.stop()
        stage.patch(name, {"spec": {"deletionPolicy": "Retain"}})
        stage.delete(name)
        chain.dies(place, name, chain.operator.begin)
    chain.operator.start()
    for name in names.values():
        stage.gone(name)
    assert stage.retained() == set(kept.values()) == stage.tagged().keys()
    for name in names.values():
        assert stage.sandbox.accepts(stage.text(f"{name}-key"))
        assert "ownerReferences" not in stage.target(f"{name}-key")["metadata"]


@scenarios
def in_the_midst_of_a_request(stage: Stage):
    """C3: killed while the platform works: committed, never to be committed, or committed once the attempt is closed."""
    operator = stage.an_operator()
    held: dict[str, Any] = {}
    for name in ("committed", "never", "late"):
        held[name] = hold = stage.proxy.hold("POST", KEYS, committed=name == "committed", containing=f"/{name} [kw/")
        stage.create(name)
        hold.met()
        operator.kill()
        if name != "late":
            hold.drop()
        operator.start()
        wait_for(lambda name=name: stage.status(name).get("closedAttempts"), f"the attempt of {name} is closed")
        if name != "late":
            tries_again(stage, name, 1)
    held["late"].release()
    wait_for(lambda: len(stage.live_keys("late")) >= 1, "the late key lives")
    stage.holds()
    for name in held:
        [closed] = stage.status(name)["closedAttempts"]
        assert closed["outcome"] == ("lost" if name == "committed" else "unseen")
        assert stage.posts(name) == 2
    wait_for(lambda: "LateKeyRevoked" in dict(stage.events("late")), "an event tells of the late key")


@scenarios
def told_to_end_while_the_platform_is_silent(stage: Stage):
    """C9: a request that does not end in time is cut off, its intent stays written down, and the process ends within its grace."""
    operator = stage.an_operator(started=False)
    operator.grace = 1.0
    operator.start()
    hold = stage.proxy.hold("POST", KEYS, committed=True)
    stage.create()
    hold.met()
    begun = time.monotonic()
    operator.signal(signal.SIGTERM)
    assert operator.ended() == 0
    assert time.monotonic() - begun < POD
    assert "its intent is written down" in operator.said()
    assert stage.status()["attempt"]["id"] in next(iter(stage.tagged().values()))
    operator.start()
    stage.holds()
    assert stage.posts() == 2


@pytest.mark.parametrize("scenario", scenarios.names)
def test_kills(scenario: str, outcome: Callable[[Scenarios, str], None]):
    """What the scenario's own sentence says."""
    outcome(scenarios, scenario)
