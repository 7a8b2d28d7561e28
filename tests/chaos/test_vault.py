"""Kills at each boundary once more with the keys in Vault, and all that a Vault does: no key is lost, none doubled, none undelivered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.chaos import test_kills
from tests.chaos.proxy import answers, cuts
from tests.chaos.test_kills import Chain, slug
from tests.chaos.vault_stage import VaultConsumer, VaultStage, a_vault_stage
from tests.e2e.together import Scenarios
from tests.running import wait_for
from tests.vaults import vault_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.proxy import Fault
    from tests.chaos.stage import World

pytestmark = [pytest.mark.plane, pytest.mark.slow, pytest.mark.xdist_group("chaos-vault")]
scenarios = Scenarios(at_once=20)

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

for boundary in (
    test_kills.at_each_boundary_of_an_issuance_and_deleted_meanwhile,
    test_kills.at_each_boundary_of_a_recovery,
):
    scenarios(boundary)
for boundary in (test_kills.at_each_boundary_of_an_issuance, test_kills.at_each_boundary_of_a_deletion):
    scenarios.of(killed="kill")(boundary)


@scenarios
def at_each_boundary_of_a_rotation(stage: VaultStage):
    """C4 to C7: as with Secrets, and the older version of a dead key is destroyed wherever the operator died."""
    chain = Chain(stage)
    places = (*test_kills.ROTATING, "before prune", "after prune")
    names = {place: slug(place) for place in places}
    for name in names.values():
        stage.create(name, rotation={"overlap": "0s"})
    for name in names.values():
        stage.ready(name)
    serving = [VaultConsumer(stage, names[place]) for place in test_kills.SERVED]
    for consumer in serving:
        consumer.__enter__()
    try:
        for place, name in names.items():
            chain.dies(place, name, lambda name=name: stage.annotate(name, rotate="now"))
            chain.comes_back(name, revision=2)
        for name in names.values():
            wait_for(lambda name=name: stage.status(name).get("revision") == 2, f"{name} is rotated")
            wait_for(lambda name=name: "previous" not in stage.status(name), f"{name} has one key")
        stage.holds()
    finally:
        for consumer in serving:
            consumer.__exit__()
    for consumer in serving:
        consumer.check()
    for place, name in names.items():
        chain.asked_for(place, name, keys=2)
        metadata = stage.vault.metadata(stage.path(f"{name}-key"))
        destroyed = [version["destroyed"] for _, version in sorted(metadata["versions"].items())]
        assert destroyed[0] is True, f"{place}: the version of the first key is destroyed"
        assert destroyed[-1] is False


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
def a_write_lost_and_the_operator_with_it(stage: VaultStage):
    """V6, C5: committed, and the operator killed before it knew: its successor adopts by the record."""
    chain = Chain(stage)
    chain.dies("after deliver", "search", stage.create)
    chain.operator.start()
    stage.holds()
    assert stage.posts() == 1
    assert stage.status()["revision"] == 1


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
def test_vault(scenario: str, request: pytest.FixtureRequest, world: World):
    """What the scenario's own sentence says."""
    vault = vault_of(world.plane)

    def put_on(play: Callable[[VaultStage], None], with_issuer: bool) -> None:  # noqa: FBT001 -- as Scenarios hands it over
        with a_vault_stage(world, vault, with_issuer=with_issuer) as stage:
            play(stage)

    scenarios.played(scenario, request, put_on)
