"""A target that somebody else made is taken over, or shared: on the real apiserver, with the real platform's count of keys made."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.together import Scenarios
from tests.running import wait_for
from tests.sinks import alone

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.team import Team

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("served")]
scenarios = Scenarios()

BY_HAND = "made-by-hand-0123456789wxyz"


def give(team: Team, to: str | None = "search", name: str = "search-key") -> dict[str, Any]:
    """A target with other people's data, labels and annotations; a Secret is given `to` an ApiKey, with a key made by hand in it."""
    annotations, data = {"example.com/theirs": "a"}, {"theirs": "x"}
    if team.sink == "secret":
        annotations |= {"keywright.dev/adoptable-by": to} if to else {}
        data["api-key"] = team.shown(BY_HAND)
    team.make_target(name, data, labels={"example.com/theirs": "a"}, annotations=annotations)
    return stands(team, name)


def stands(team: Team, name: str = "search-key") -> dict[str, Any]:
    """The target, less what the apiserver counts."""
    target = team.target(name)
    assert target is not None
    metadata = {k: v for k, v in target["metadata"].items() if k not in ("resourceVersion", "managedFields")}
    return {**target, "metadata": metadata}


def left_alone(given: dict[str, Any]) -> dict[str, Any]:
    """The same, less the key made by hand."""
    return {**given, "data": {"theirs": given["data"]["theirs"]}}


def adopting(name: str = "search-key") -> dict[str, Any]:
    """A target that is somebody else's: a Secret that is adopted, a path that is merged with."""
    return {"secret": {"name": name, "adopt": True}}


@scenarios
def a_target_of_somebody_elses_takes_the_key(team: Team):
    """One key is made; all else stays there through a rotation and new layouts; on deletion it is as it was, less our key."""
    given = give(team)
    team.create(target=adopting(), rotation={"overlap": "0s"})
    team.ready()
    assert team.sandbox.accepts(team.text())
    assert team.made() == 1

    team.annotate("search", rotate="now")
    team.ready(revision=2)
    template = {"config.ini": "key=${api_key}", "api-key": "${api_key}"}
    team.patch("search", {"spec": {"target": {"secret": {"template": template}}}})
    wait_for(lambda: "config.ini" in stands(team)["data"], "it is laid out anew")
    team.patch("search", {"spec": {"target": {"secret": {"template": {"config.ini": None}}}}})
    wait_for(lambda: "config.ini" not in stands(team)["data"], "and again")
    now = stands(team)
    assert now["data"]["theirs"] == given["data"]["theirs"]
    for part in ("labels", "annotations"):
        assert given["metadata"][part].items() <= now["metadata"][part].items()
    plaintext = team.text()
    assert team.sandbox.accepts(plaintext)
    assert team.made() == 2

    team.delete()
    team.gone()
    assert stands(team) == left_alone(given)
    assert not team.sandbox.accepts(plaintext)


@scenarios
@alone("secret", "In Vault a field that somebody else has written is never replaced.")
def a_key_made_by_hand_is_replaced_and_named_by_its_end(team: Team):
    """Said in one event and written down nowhere; our labels and annotations come and go beside theirs, and no owner is set."""
    given = give(team)
    template = {"config.ini": "key=${api_key}", "api-key": "${api_key}"}
    ours = {"labels": {"example.com/ours": "b"}, "annotations": {"example.com/ours": "b"}}
    team.create(target={"secret": adopting()["secret"] | {"template": template} | ours})
    status = team.ready()
    assert status["target"]["adopted"] is True
    [message] = wait_for(lambda: [words for why, words in team.events() if why == "HandMadeReplaced"], "the event")
    assert "the key ending in …wxyz that stood under api-key" in message
    assert BY_HAND not in str(team.status()) + str(team.events()) + str(stands(team)["metadata"])
    assert base64.b64encode(BY_HAND.encode()).decode() not in str(stands(team))
    team.patch("search", {"spec": {"target": {"secret": {"labels": None, "annotations": None}}}})
    wait_for(lambda: "example.com/ours" not in stands(team)["metadata"]["labels"], "ours is gone")
    now = stands(team)
    assert "ownerReferences" not in now["metadata"], "garbage collection would take the foreign data along"
    for part in ("labels", "annotations"):
        assert given["metadata"][part].items() <= now["metadata"][part].items()
    assert team.made() == 1


@scenarios
@alone("vault", "A Secret that is given away is given with all that stands in it.")
def a_field_that_somebody_else_has_is_not_written_over(team: Team):
    """Refused without a key made, with the remedy; done, it goes on."""
    team.make_target("search-key", {"api-key": "theirs"})
    team.create(target=adopting())
    assert "already has the field api-key" in team.says("TargetForeign")
    assert team.made() == 0
    team.patch("search", {"spec": {"target": {"secret": {"key": "ours"}}}})
    team.ready()
    assert team.sandbox.accepts(team.text(key="ours"))
    assert base64.b64decode(stands(team)["data"]["api-key"]) == b"theirs"


@scenarios
@alone("secret", "In Vault nothing is given away: the ApiKey says merge, tests/e2e/test_vault_life.py.")
def what_is_to_be_done_is_said_and_heals(team: Team):
    """Refused without a key made; the message's own words, done, give the Secret away."""
    given = give(team, to=None)
    team.create()
    message = team.says("TargetForeign", of_type="Stalled")
    assert "write another spec.target.secret.name" in message
    assert "write spec.target.secret.adopt: true and run kubectl annotate secret" in message
    assert stands(team) == given
    assert team.made() == 0
    command = message.partition("run kubectl ")[2].rstrip(".")
    team.plane.kubectl(*command.split())
    team.patch("search", {"spec": {"target": adopting()}})
    team.ready()
    assert team.sandbox.accepts(team.text())
    assert team.made() == 1


@scenarios.of(
    immutable=({"immutable": True}, "immutable"),
    type=({"type": "example.com/other"}, "is of the type example.com/other, spec.target.secret.type says Opaque"),
    refused_type=(
        {
            "type": "kubernetes.io/basic-auth",
            "stringData": {"api-key": "x", "theirs": "x", "username": "u", "password": "p"},
        },
        "is of the type kubernetes.io/basic-auth",
    ),
)
@alone("secret", "A path in Vault has no type; what Vault itself refuses: tests/e2e/test_vault_life.py.")
def what_cannot_take_a_key_is_said_before_one_is_made(team: Team, case: tuple[dict[str, Any], str]):
    """Given away or not."""
    body, words = case
    metadata = {"name": "search-key", "annotations": {"keywright.dev/adoptable-by": "search"}}
    made = {"metadata": metadata, "stringData": {"api-key": "x", "theirs": "x"}, **body}
    team.plane.call("POST", f"/api/v1/namespaces/{team.namespace}/secrets", made)
    given = stands(team)
    team.create(target=adopting())
    assert words in team.says("TargetRefused", of_type="Stalled")
    assert stands(team) == given
    assert team.made() == 0


@scenarios
@alone("secret", "There is no such annotation in Vault; two ApiKeys for one path: two_api_keys_for_one_target.")
def the_annotation_names_one_api_key(team: Team):
    """K10: another that wants the Secret as well is refused, before it was taken and afterwards."""
    give(team)
    team.create("another", target=adopting())
    assert "keywright.dev/adoptable-by=another --overwrite" in team.says("TargetForeign", "another")
    team.delete("another")
    team.gone("another")
    team.create(target=adopting())
    team.ready()
    team.create("another", target=adopting())
    assert team.says("TargetConflict", "another")
    assert (team.made(), team.made("another")) == (1, 0)
    assert team.sandbox.accepts(team.text())


@scenarios
def two_api_keys_for_one_target(team: Team):
    """K10: whoever has it keeps it, the other is told and gets no key; once the first is gone, it is the second's."""
    team.create()
    team.ready()
    team.create("another", target={"secret": {"name": "search-key"}})
    assert team.says("TargetConflict", "another")
    assert (team.made(), team.made("another")) == (1, 0)
    assert team.sandbox.accepts(team.text())
    team.delete()
    team.ready("another")
    assert team.sandbox.accepts(team.text())


@scenarios
def retain_leaves_all_of_it(team: Team):
    """Key, record and foreign data; the ApiKey applied again takes them up without a new key, and gives the target back in the end."""
    given = give(team)
    team.create(target=adopting(), deletionPolicy="Retain")
    key = team.ready()["keyId"]
    plaintext = team.text()
    before = stands(team)
    team.delete()
    team.gone()
    assert stands(team) == before
    assert team.sandbox.accepts(plaintext)
    team.create(target=adopting())
    assert team.ready()["keyId"] == key
    assert team.made() == 1
    team.delete()
    team.gone()
    assert not team.sandbox.accepts(plaintext)
    assert stands(team) == left_alone(given)


@scenarios
def a_moved_target_gives_what_was_adopted_back(team: Team):
    """The key goes along, into another that is adopted; what was left is its owner's again."""
    given = give(team)
    give(team, name="elsewhere")
    team.create(target=adopting(), rotation={"overlap": "0s"})
    team.ready()
    team.patch("search", {"spec": {"target": adopting("elsewhere")}})
    team.ready(revision=2)
    assert team.sandbox.accepts(team.text("elsewhere"))
    wait_for(lambda: stands(team) == left_alone(given), "the place that was left is its owner's again")
    assert team.made() == 2


@scenarios
def stripped_it_is_still_somebody_elses(team: Team):
    """Replaced by its data alone: put back without a new key, and the foreign data still outlives the ApiKey."""
    give(team)
    team.create(target=adopting())
    team.ready()
    before, plaintext = stands(team), team.text()
    team.replace_target("search-key")

    def put_back() -> dict[str, Any] | None:
        now = stands(team)
        return now if "keywright.dev/digest" in now["metadata"].get("annotations", {}) else None

    restored = wait_for(put_back, "it is put back")
    assert "ownerReferences" not in restored["metadata"]
    assert restored["data"] == before["data"]
    assert team.made() == 1
    team.delete()
    team.gone()
    assert not team.sandbox.accepts(plaintext)
    assert stands(team)["data"] == {"theirs": before["data"]["theirs"]}


@pytest.mark.parametrize("scenario", scenarios.names)
def test_adopt(scenario: str, outcome: Callable[[Scenarios, str], None]):
    """What the scenario's own sentence says."""
    outcome(scenarios, scenario)
