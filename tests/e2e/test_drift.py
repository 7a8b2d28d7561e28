"""What others do to a target of ours is repaired: without a new key where the plaintext still stands there, else with exactly one."""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.conftest import MIN_INTERVAL
from tests.e2e.together import Scenarios
from tests.running import wait_for
from tests.sinks import case as case_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.team import Team

pytestmark = [pytest.mark.plane, pytest.mark.xdist_group("served")]
scenarios = Scenarios()

GARBAGE = "An owner is what Kubernetes' garbage collection goes by; Vault has none."
TEMPLATE = {"MISTRAL_API_KEY": "${api_key}", "config.ini": "key=${api_key}\nid=${key_id}\n"}


def patched(**metadata: Any) -> Callable[[Team], None]:
    """A merge patch of its metadata."""
    return lambda team: team.edit_target("search-key", {"metadata": metadata})


def replaced(team: Team) -> None:
    """By its data alone."""
    team.replace_target("search-key")


def given_to_a_stranger(team: Team) -> None:
    """Another ApiKey is written down as its owner; one that there is, or Kubernetes would collect the Secret."""
    uid = team.create("stranger", suspend=True)["metadata"]["uid"]
    stranger = {"apiVersion": "keywright.dev/v1alpha1", "kind": "ApiKey", "name": "stranger", "uid": uid}
    team.edit_target("search-key", {"metadata": {"ownerReferences": [stranger]}})


@scenarios.of(
    all_annotations=patched(annotations=None),
    the_record=patched(annotations={"keywright.dev/key-id": "somebody's own"}),
    the_digest=patched(annotations={"keywright.dev/digest": None}),
    the_layout=patched(annotations={"keywright.dev/layout": "{}"}),
    whose_it_is=patched(annotations={"keywright.dev/apikey": None, "keywright.dev/apikey-uid": None}),
    the_label=patched(labels={"keywright.dev/managed": None, "keywright.dev/apikey": None}),
    the_labels_and_annotations=patched(labels=None, annotations=None),
    the_owner=case_of("secret", GARBAGE, patched(ownerReferences=None)),
    another_owner=case_of("secret", GARBAGE, given_to_a_stranger),
    all_but_the_data=replaced,
)
def what_was_stripped_is_put_back_without_a_new_key(team: Team, case: Callable[[Team], None]):
    """Whatever it was: it looks as before, the platform was asked for one key in all, and that one works."""
    team.create()
    status = team.ready()
    before = team.looks()
    case(team)
    wait_for(lambda: team.looks() == before, "it looks as before")
    assert team.made() == 1
    assert team.sandbox.accepts(team.text())
    assert team.ready()["keyId"] == status["keyId"]
    team.delete()
    team.gone()
    wait_for(lambda: team.target() is None, "it is ours, and goes")


@scenarios
def a_template_s_texts_are_known_again(team: Team):
    """Also where no text is the plaintext alone, and the key's id stands in one."""
    team.create(target={"secret": {"name": "search-key", "template": TEMPLATE}})
    team.ready()
    before = team.looks()
    replaced(team)
    wait_for(lambda: team.looks() == before, "it looks as before")
    assert team.made() == 1
    assert team.sandbox.accepts(team.text(key="MISTRAL_API_KEY"))


@scenarios
def a_new_layout_costs_no_key(team: Team):
    """Data key and template: rewritten each time, with the same plaintext."""
    team.create()
    team.ready()
    plaintext = team.text()
    for edit, keys in (
        ({"key": "another"}, {"another"}),
        ({"key": None, "template": TEMPLATE}, {"MISTRAL_API_KEY", "config.ini"}),
        ({"template": {"MISTRAL_API_KEY": None}}, {"config.ini"}),
        ({"template": {"MISTRAL_API_KEY": "${api_key}"}}, {"MISTRAL_API_KEY", "config.ini"}),
    ):
        team.patch("search", {"spec": {"target": {"secret": edit}}})
        wait_for(lambda keys=keys: set(team.looks()["data"]) == keys, f"{keys} stand there")
        assert all(plaintext in team.text(key=key) for key in keys)
    assert team.text(key="MISTRAL_API_KEY") == plaintext
    assert team.made() == 1
    assert team.sandbox.accepts(plaintext)


@scenarios.of(
    deleted=lambda team: team.delete_target(),
    changed=lambda team: team.edit_target("search-key", {"stringData": {"api-key": "somebody's own"}}),
    taken_out=lambda team: team.edit_target("search-key", {"data": {"api-key": None, "other": "eA=="}}),
    changed_and_stripped=lambda team: team.edit_target(
        "search-key", {"stringData": {"api-key": "somebody's own"}, "metadata": {"annotations": None}}
    ),
)
def a_plaintext_that_is_lost_costs_one_key(team: Team, case: Callable[[Team], None]):
    """Exactly one more is asked for, and it works."""
    team.create(rotation={"overlap": "0s"})
    team.ready()
    old = team.text()
    case(team)
    status = team.ready(revision=2)
    assert team.sandbox.accepts(team.text())
    wait_for(lambda: [k["key_id"] for k in team.live_keys()] == [status["keyId"]], "one key lives")
    assert not team.sandbox.accepts(old)
    assert team.made() == 2


@scenarios
def a_copy_in_another_api_keys_name_is_not_taken(team: Team):
    """I6: the plaintext is there, and the target says that it is somebody else's."""
    team.create()
    team.ready()
    annotations = {"keywright.dev/apikey": f"{team.namespace}/another", "keywright.dev/apikey-uid": "another"}
    team.replace_target("search-key", annotations=annotations)
    before = team.looks()
    assert before["annotations"].items() >= annotations.items()
    assert "search-key" in team.says("TargetForeign", of_type="Stalled")
    assert team.looks() == before
    assert team.made() == 1


@scenarios
def suspended_nothing_is_repaired(team: Team):
    """U3: what was stripped stays so and the key works; a lost plaintext is said; both are repaired when it is lifted."""
    team.create(rotation={"overlap": "0s"})
    team.ready()
    before = team.looks()
    team.patch("search", {"spec": {"suspend": True}})
    team.says("Suspended")
    replaced(team)
    bare = team.looks()
    team.patch("search", {"metadata": {"annotations": {"keywright.dev/rotate": "looked at"}}})
    assert "A key is issued once spec.suspend is false" in wait_for(
        lambda: "keywright.dev/rotate" in (words := team.condition()["message"]) and words, "it was looked at"
    )
    assert team.looks() == bare
    assert team.condition()["status"] == "True"
    assert team.made() == 1
    team.patch("search", {"metadata": {"annotations": {"keywright.dev/rotate": None}}, "spec": {"suspend": False}})
    wait_for(lambda: team.looks() == before, "it looks as before")
    assert team.made() == 1
    team.patch("search", {"spec": {"suspend": True}})
    team.says("Suspended")
    team.edit_target("search-key", {"stringData": {"api-key": "somebody's own"}})
    wait_for(lambda: team.condition()["status"] == "False", "the loss is said")
    assert team.made() == 1
    team.patch("search", {"spec": {"suspend": False}})
    team.ready(revision=2)
    assert team.sandbox.accepts(team.text())
    assert team.made() == 2


@contextmanager
def overwriting(team: Team) -> Iterator[None]:
    """Another controller that holds its own value under our data key for as long as this lasts."""
    over, value = threading.Event(), secrets.token_hex(16)

    def write() -> None:
        while not over.wait(0.05):
            team.overwrite_target("search-key", {"api-key": value})

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@scenarios
def who_overwrites_it_again_and_again_is_named(team: Team):
    """K11: Stalled, with the name of who writes where it is known; no more than one key per interval; well again once that has stopped."""
    team.create(rotation={"overlap": "0s"})
    team.ready()
    begun = time.monotonic()
    with overwriting(team):
        words = team.says("TargetDrifted", of_type="Stalled")
        assert f"{team.overwriter} has changed it again" in words
        wait_for(lambda: team.made() >= 4, "it was repaired again")
        made, lasted = team.made(), time.monotonic() - begun
    assert made <= 2 + lasted / MIN_INTERVAL
    wait_for(
        lambda: (
            [k["key_id"] for k in team.live_keys()] == [team.status()["keyId"]] and team.sandbox.accepts(team.text())
        ),
        "it holds its key again, and no other lives",
    )
    wait_for(lambda: not team.condition(of_type="Stalled"), "nothing is wrong any more")


@pytest.mark.parametrize("scenario", scenarios.names)
def test_drift(scenario: str, outcome: Callable[[Scenarios, str], None]):
    """What the scenario's own sentence says."""
    outcome(scenarios, scenario)
