"""Frozen operators: woken after somebody else has edited what they were about to write, or after another operator has worked.

Nobody elects a leader here: what holds is that each write names the version that it was decided for.
"""

from __future__ import annotations

import base64
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from tests.chaos.consumer import Consumer
from tests.e2e.together import Scenarios
from tests.running import wait_for
from tests.sinks import case as case_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.nursery import ChaosOperator
    from tests.chaos.stage import Stage

pytestmark = [pytest.mark.plane, pytest.mark.slow, pytest.mark.xdist_group("chaos-frozen")]
scenarios = Scenarios(at_once=18)

MANY = 24
ROUNDS = 3


def goes_on(frozen: ChaosOperator) -> None:
    """It wakes up in the midst of its step, takes this and what follows from it, and begins nothing else."""
    frozen.signal(signal.SIGTERM)
    frozen.signal(signal.SIGCONT)
    assert frozen.ended() == 0


def slug(write: str) -> str:
    """A write as a part of a name."""
    return write.replace("_", "-").replace(":", "-")


def rotated(stage: Stage) -> Callable[..., None]:
    """A cause: made, and asked to rotate."""

    def cause(name: str, **spec: Any) -> None:
        stage.create(name, **spec)
        stage.ready(name)
        stage.annotate(name, rotate="now")

    return cause


def deleted(stage: Stage) -> Callable[..., None]:
    """A cause: made, and deleted."""

    def cause(name: str, **spec: Any) -> None:
        stage.create(name, **spec)
        stage.ready(name)
        stage.delete(name)

    return cause


@scenarios.of(
    before_the_intent="before patch_status:intent",
    before_the_request="before create",
    with_the_plaintext="after create",
    before_the_delivery="before deliver",
    before_settling="before patch_status:settle",
    before_the_old_key_is_revoked="before revoke",
    before_the_older_version_is_destroyed=case_of("vault", "A Secret has no older versions.", "before prune"),
    before_the_old_key_is_forgotten="before patch_status:drop",
)
def frozen_while_another_works(stage: Stage, case: str):
    """C10: another operator closes the attempt and rotates; what wakes up delivers no dead key and revokes no live one."""
    frozen = stage.an_operator()
    stage.create(rotation={"overlap": "0s"})
    stage.ready()
    with Consumer(stage) as consumer:
        stage.fail_at(frozen, case, "stop", "search")
        stage.annotate("search", rotate="now")
        stage.failed(frozen, "stop")
        stage.an_operator()
        stage.ready(revision=2)
        stage.annotate("search", compromised="yes")
        status = stage.ready(revision=3)
        asked = stage.posts()
        goes_on(frozen)
        stage.holds()
        assert stage.posts() == asked + (case == "before create")
        assert stage.status()["keyId"] == status["keyId"]
        stage.alive(1)
    consumer.check()


@scenarios.of(
    before_the_request="before create", with_the_plaintext="after create", before_the_delivery="before deliver"
)
def frozen_until_its_attempt_is_closed(stage: Stage, case: str):
    """C10: nobody has written the target since but for the fence, and that is enough: a key that was revoked is not delivered."""
    frozen = stage.an_operator()
    stage.create(rotation={"overlap": "0s"})
    first = stage.ready()
    with Consumer(stage) as consumer:
        stage.fail_at(frozen, case, "stop", "search")
        stage.annotate("search", rotate="now")
        stage.failed(frozen, "stop")
        stage.patch("search", {"spec": {"suspend": True}})  # else the other makes an attempt of its own, before long
        stage.an_operator()
        wait_for(lambda: stage.status().get("closedAttempts"), "the other has closed the attempt")
        wait_for(lambda: stage.tagged().keys() == {first["keyId"]}, "and revoked its key")
        goes_on(frozen)
        stage.patch("search", {"spec": {"suspend": False}})
        stage.ready(revision=2)
        stage.holds()
        stage.alive(1)
    consumer.check()


@scenarios
def an_api_key_edited_before_each_guarded_write(stage: Stage):
    """K1: each write meets a 409, is read again and planned again, and costs no further key."""
    operator = stage.an_operator()
    writes = {
        "add_finalizer": stage.create,
        "patch_status:intent": stage.create,
        "patch_status:settle": stage.create,
        "patch_status:drop": rotated(stage),
        "remove_finalizer": deleted(stage),
    }
    for write, cause in writes.items():
        name = f"edited-{slug(write)}"
        stage.fail_at(operator, f"before {write}", "stop", name)
        cause(name, rotation={"overlap": "0s"})
        stage.failed(operator, "stop")
        stage.patch(name, {"metadata": {"labels": {"edited": "meanwhile"}}})
        since = len(operator.said())
        operator.signal(signal.SIGCONT)
        operator.says(f"reading again: .*{name}.* 409 Conflict", since)
    stage.gone("edited-remove-finalizer")
    wait_for(lambda: "previous" not in stage.status("edited-patch-status-drop"), "the old key is forgotten")
    stage.holds()
    posts = {write: stage.posts(f"edited-{slug(write)}") for write in writes}
    assert posts == dict.fromkeys(writes, 1) | {"patch_status:drop": 2}


@scenarios
def a_target_edited_before_each_guarded_write(stage: Stage):
    """K1: whoever wrote the target in between is not overwritten unseen; the key in hand is delivered behind them."""
    operator = stage.an_operator()
    edit = {"metadata": {"labels": {"edited": "meanwhile"}}}
    layout = {"spec": {"target": {"secret": {"template": {"api-key": "${api_key}", "team": "search"}}}}}
    writes = {
        "deliver": lambda name: stage.annotate(name, rotate="now"),
        "rewrite": lambda name: stage.patch(name, layout),
        "clean": stage.delete,
    }
    for write in writes:
        stage.create(f"edited-{write}", rotation={"overlap": "0s"})
    for write, cause in writes.items():
        name = f"edited-{write}"
        stage.ready(name)
        stage.fail_at(operator, f"before {write}", "stop", name)
        cause(name)
        stage.failed(operator, "stop")
        stage.edit_target(f"{name}-key", edit)
        operator.signal(signal.SIGCONT)
    stage.nothing_left("edited-clean")
    stage.ready("edited-deliver", revision=2)
    wait_for(lambda: "team" in stage.target("edited-rewrite-key")["data"], "it is laid out anew")
    stage.holds()
    assert stage.posts("edited-deliver") == 2
    assert stage.posts("edited-rewrite") == 1
    assert stage.target("edited-deliver-key")["metadata"]["labels"]["edited"] == "meanwhile"


@scenarios
def a_target_that_comes_or_goes_before_the_delivery(stage: Stage):
    """K1, K12: deleted meanwhile, it is made again with the key in hand; made by somebody else, it stays theirs and the key is revoked."""
    operator = stage.an_operator()
    stage.create("goes", rotation={"overlap": "0s"})
    stage.ready("goes")
    stage.fail_at(operator, "before deliver", "stop", "goes")
    stage.annotate("goes", rotate="now")
    stage.failed(operator, "stop")
    stage.delete_target("goes-key")
    operator.signal(signal.SIGCONT)
    stage.ready("goes", revision=2)
    assert stage.posts("goes") == 2

    stage.fail_at(operator, "before deliver", "stop", "comes")
    stage.create("comes")
    stage.failed(operator, "stop")
    stage.make_target("comes-key", {"api-key": "mine"})
    operator.signal(signal.SIGCONT)
    assert "comes-key" in stage.says("TargetForeign", "comes", of_type="Stalled")
    stage.holds(stalled=("comes",))
    assert stage.live_keys("comes") == []
    assert stage.posts("comes") == 1
    assert base64.b64decode(stage.target("comes-key")["data"]["api-key"]) == b"mine"


@scenarios
def a_target_deleted_while_an_operator_begins(stage: Stage):
    """K2: gone between the operator's own list and the one that its watch goes on from: no event tells of it, and it is made again.

    Of a path in Vault no event ever tells.
    """
    operator = stage.an_operator()
    stage.create(rotation={"overlap": "0s"})
    stage.ready()
    operator.stop()
    stage.fail_at(operator, "after sync", "stop")
    operator.begin()
    stage.failed(operator, "stop")
    stage.delete_target()
    operator.signal(signal.SIGCONT)
    stage.ready(revision=2)
    stage.holds()


@scenarios
def two_at_once(stage: Stage):
    """C11: two operators over the same ApiKeys break each other's attempts off, and no key is lost or doubled by it.

    Who holds a target is served all the time. Once one of them is gone, an edit ends the pauses that their quarrel has led to.
    """
    operator, other = stage.an_operator(), stage.an_operator()
    names = [f"key-{i:02}" for i in range(MANY)]
    gone, kept = names[:4], names[4:]
    for name in names:
        stage.create(name, rotation={"overlap": "0s"})

    def quarrelled(answer: str | None) -> bool:
        """Every ApiKey was served, or waits after an attempt that was broken off."""
        statuses = [obj.get("status") or {} for obj in stage.objects()]
        return all(
            "attempt" not in status
            and (
                "nextAttemptAt" in status
                or ("keyId" in status and status.get("handled", {}).get("compromised") == answer)
            )
            for status in statuses
        )

    with ExitStack() as consumers:
        serving = [consumers.enter_context(Consumer(stage, name)) for name in kept[:3]]
        wait_for(lambda: quarrelled(None), "all have had their turn")
        for i in range(ROUNDS):
            for name in names:
                stage.annotate(name, compromised=f"round-{i}")
            wait_for(lambda i=i: quarrelled(f"round-{i}"), "all have had their turn")
        for name in gone:
            stage.delete(name)
        for name in gone:
            stage.nothing_left(name)
        assert other.stop() == 0
        for name in kept:
            stage.patch(name, {"spec": {"label": f"{name} once more"}})
        stage.holds()
        stage.alive(len(kept))
    for consumer in serving:
        consumer.check()
    assert all(key.startswith("key-") and " once more [kw/" in key for key in stage.tagged().values())
    assert operator.process.poll() is None


@pytest.mark.parametrize("scenario", scenarios.names)
def test_frozen(scenario: str, outcome: Callable[[Scenarios, str], None]):
    """What the scenario's own sentence says."""
    outcome(scenarios, scenario)
