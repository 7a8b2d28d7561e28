"""All that a Vault does while keys are issued and end: no key is lost, none doubled, none undelivered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.chaos.proxy import answers, cuts
from tests.e2e.together import Scenarios
from tests.running import wait_for
from tests.sinks import Alone

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.proxy import Fault
    from tests.chaos.stage import VaultStage

pytestmark = [pytest.mark.plane, pytest.mark.slow, pytest.mark.xdist_group("chaos-vault")]
scenarios = Scenarios(at_once=14, alone=Alone("vault", "It is about what Vault answers, or does not."))

DATA = r"/v1/secret/data/.*"
AWAY: dict[str, Fault] = {
    "sealed": answers(503, {"errors": ["Vault is sealed"]}),
    "standby": answers(429, {"errors": []}),
    "sends-elsewhere": answers(307, b"", Location="http://127.0.0.1:1/v1/sys/health"),
    "disaster-recovery": answers(472, b""),
    "performance-standby": answers(473, b""),
    "failing": answers(500, {"errors": ["internal error"]}),
}
"""What a Vault that is away may say."""


@scenarios
def a_write_whose_answer_is_lost(stage: VaultStage):
    """V6: committed or not, cut off or answered with an error: it is looked at, and neither asked for nor written twice."""
    stage.an_operator()
    faults = {
        "committed": cuts(committed=True),
        "never": cuts(committed=False),
        "error-after": answers(500, {"errors": []}, committed=True),
        "error-before": answers(502, b"<html>"),
    }
    for name, fault in faults.items():
        stage.door.rule("POST", DATA, fault, containing=f"/{name}-key")
        stage.create(name)
    stage.holds()
    for name in faults:
        assert stage.posts(name) == 1
        assert stage.vault.metadata(stage.path(f"{name}-key"))["current_version"] == 1


@scenarios
def somebody_writes_first(stage: VaultStage):
    """V2: between our look and our write a person writes the path by hand: theirs stays, our key is revoked, and it is said."""
    stage.an_operator()
    hold = stage.door.hold("POST", DATA, committed=False)
    stage.create()
    hold.met()
    stage.vault.put(stage.path("search-key"), {"password": "theirs"})
    hold.release()
    stage.says("TargetForeign")
    wait_for(lambda: not stage.tagged(), "no key lives")
    assert stage.vault.data(stage.path("search-key")) == {"password": "theirs"}
    stage.vault.remove(stage.path("search-key"))
    stage.ready()


@scenarios.of(**AWAY)
def vault_is_away_while_keys_fall_due(stage: VaultStage, case: Fault):
    """V1: none is asked for that could not be delivered, the old ones go on, the store says it; once it is back all goes on by itself."""
    stage.an_operator()
    for name in ("old", "due"):
        stage.create(name, rotation={"overlap": "0s"})
    for name in ("old", "due"):
        stage.ready(name)
    rules = [stage.door.rule(method, ".*", case, times=None) for method in ("GET", "POST", "PUT", "DELETE")]
    stage.create("new")
    stage.annotate("due", rotate="1")
    for name in ("new", "due"):
        wait_for(lambda name=name: _says_away(stage, name), f"{name} says that Vault is away")
    wait_for(lambda: stage.store_ready().get("reason") == "StoreUnavailable", "the store says it")
    time.sleep(3)  # nothing happens in it: there is nothing to wait for
    assert (stage.posts("new"), stage.posts("due"), stage.posts("old")) == (0, 1, 1)
    for name in ("old", "due"):
        assert stage.condition(name)["status"] == "True"
        assert stage.sandbox.accepts(stage.text(f"{name}-key"))
    for rule in rules:
        rule.off = True
    stage.ready("due", revision=2)
    stage.ready("new")
    stage.holds()
    assert (stage.posts("new"), stage.posts("due"), stage.posts("old")) == (1, 2, 1)


def _says_away(stage: VaultStage, name: str) -> bool:
    conditions = stage.status(name).get("conditions", ())
    return any(c["reason"] == "StoreUnavailable" for c in conditions)


@scenarios
def vault_goes_in_the_midst_of_a_delivery(stage: VaultStage):
    """V1, V3: the key that was asked for is revoked although Vault cannot be read; POSTs stay bounded until it is back."""
    stage.an_operator()
    stage.create("first")
    stage.ready("first")
    hold = stage.door.hold("POST", DATA, committed=False, containing="/search-key")
    stage.create()
    hold.met()
    stage.door.down()
    hold.drop()
    wait_for(lambda: _says_away(stage, "search"), "it is said, once no more is tried with the key in hand")
    assert stage.posts() == 1
    stage.door.up()
    stage.holds()
    assert stage.posts() <= 2


@scenarios
def deleted_while_vault_is_away(stage: VaultStage):
    """The key dies at once; the ApiKey waits for its path to be removed and says so."""
    stage.an_operator()
    stage.create()
    stage.ready()
    uid = stage.object()["metadata"]["uid"]
    stage.door.down()
    stage.delete()
    wait_for(lambda: not stage.tagged(), "the key is revoked")
    wait_for(lambda: "cannot be removed yet" in stage.condition("search").get("message", ""), "it says so")
    stage.door.up()
    stage.nothing_left(uid=uid)


@pytest.mark.parametrize("scenario", scenarios.names)
def test_vault(scenario: str, outcome: Callable[[Scenarios, str], None]):
    """What the scenario's own sentence says."""
    outcome(scenarios, scenario)
