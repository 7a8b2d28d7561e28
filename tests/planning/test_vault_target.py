"""A target in Vault, to the planner: a place like any other, but that nothing is known of it without asking."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.planning.builders import (
    CLUSTER,
    KEY,
    NOW,
    UID,
    a_closed_attempt,
    a_layout,
    a_previous_key,
    a_record,
    a_subject,
    a_target,
    all_known,
    an_api_key,
    decide,
    listed,
    observed,
    said,
    settled,
)

from keywright.api.apikey_status import ApiKeyStatus
from keywright.api.reasons import Reason
from keywright.keys import KeyId
from keywright.planning.layout import Owner, beside, layout_digest_of
from keywright.planning.observed import Absent, Fact, Failure, Foreign, Refusal
from keywright.planning.places import StorePlace, in_vault, named, place_of, place_seen
from keywright.planning.steps import (
    CleanTarget,
    Look,
    PruneTarget,
    ReleaseFinalizer,
    RevokeKey,
    Wait,
    WriteStatus,
)

PLACE = "VaultStore/vault/search/mistral"
SPEC = an_api_key(target={"vault": {"storeRef": {"name": "vault"}, "path": "search/mistral"}})
RETAINED = an_api_key(
    target={"vault": {"storeRef": {"name": "vault"}, "path": "search/mistral"}}, deletionPolicy="Retain"
)
RECORD = a_record()
OWNER = Owner(KEY, UID, CLUSTER, bound=True)
THERE = replace(a_target(RECORD), layout_digest=layout_digest_of(a_layout(SPEC), OWNER))
SEALED = Refusal(Reason.STORE_UNAVAILABLE, "vaultstore/vault is sealed", stalled=False)
GONE = Refusal(Reason.STORE_NOT_FOUND, "there is no vaultstore/vault")


def delivered(**changes):
    """The status once the key stands in Vault."""
    target = {"kind": "Vault", "name": PLACE, "key": "api_key"}
    return settled(**{"target": ApiKeyStatus(target=target).target, **changes})


def test_a_place_is_one_word_for_both_kinds():
    """A Secret's is its name, as older statuses have it; a path in Vault names its store, and reads back."""
    assert place_of(an_api_key().target) == "mistral-key"
    assert place_of(SPEC.target) == PLACE
    assert in_vault(PLACE) == StorePlace("VaultStore", "vault", "search/mistral")
    assert in_vault("mistral-key") is None
    assert in_vault(None) is None
    assert named(PLACE) == "Vault path search/mistral (vaultstore/vault)"
    for spec in (an_api_key(), SPEC):
        assert place_seen({"spec": {"target": spec.target.model_dump(by_alias=True, exclude_none=True)}}) == place_of(
            spec.target
        )
    assert place_seen({"spec": {}}) is None


def test_how_a_path_is_laid_out_says_nothing_of_secrets():
    """Retain changes nothing about it, since nothing in Vault is bound to an ApiKey; merge does, and so does the field."""
    looks = {layout_digest_of(a_layout(SPEC), replace(OWNER, bound=bound)) for bound in (True, False)}
    assert len(looks) == 1
    others = [
        replace(a_layout(SPEC), merge=True),
        replace(a_layout(SPEC), key="other"),
        replace(a_layout(SPEC), template={"api_key": "${api_key}"}),
    ]
    assert len(looks | {layout_digest_of(layout, OWNER) for layout in others}) == 4


def test_what_others_keep_is_no_obstacle_to_a_layout_that_merges():
    """Without merge it stays theirs; a Secret is never shared."""
    theirs = Foreign("a path that keywright did not create", mergeable=True)
    assert beside(theirs, replace(a_layout(SPEC), merge=True)) == Absent()
    assert beside(theirs, a_layout(SPEC)) == theirs
    assert beside(Foreign("a Secret"), replace(a_layout(SPEC), merge=True)) == Foreign("a Secret")


def test_a_move_into_vault_is_a_new_key_there():
    """The message names both places."""
    decision = decide(SPEC, settled(), all_known(at=PLACE))
    assert isinstance(decision.step, WriteStatus)
    assert decision.step.status.attempt.target == PLACE
    assert "from Secret mistral-key to Vault path search/mistral (vaultstore/vault)" in decision.message


def test_a_path_is_rehearsed_before_each_key():
    """A Secret that took the last key is not; Vault may have been sealed since, or its policy taken away."""
    seen = all_known(THERE, at=PLACE, subject=a_subject(rotate="2"), rehearsal=None)
    step = decide(SPEC, delivered(), seen).step
    assert step == Look(Fact.REHEARSAL, target=PLACE)


def test_nothing_is_issued_while_vault_is_away():
    """The key in it stays Ready; it is looked at again by itself."""
    seen = all_known(THERE, at=PLACE, subject=a_subject(rotate="2"), rehearsal=SEALED)
    status = said(SPEC, delivered(), seen)
    assert status.attempt is None
    assert (status.condition("Ready").status, status.condition("Ready").reason) == ("True", "RenewalFailing")
    assert status.condition("Reconciling").reason == "StoreUnavailable"
    assert isinstance(decide(SPEC, status, seen).step, Wait)


@pytest.mark.parametrize("refusal", [SEALED, GONE])
def test_a_target_that_cannot_be_read_is_said_and_nothing_else_is_done(refusal):
    """Nothing is known against the key: Ready keeps its truth, and no key is made or revoked."""
    seen = observed(unreadable=refusal)
    before = delivered(previous=[a_previous_key(ends=timedelta(0))])
    status = said(SPEC, before, seen)
    assert status.condition("Ready").status == "True"
    assert status.condition("Stalled" if refusal.stalled else "Reconciling").reason == refusal.reason
    assert status.previous == before.previous
    step = decide(SPEC, status, seen).step
    assert isinstance(step, Wait)
    assert step.until - NOW <= timedelta(seconds=30)
    unissued = said(SPEC, ApiKeyStatus(), seen)
    assert unissued.condition("Ready").status == "False"


@pytest.mark.parametrize("doubt", ["unreadable", "gone"])
def test_what_was_said_against_a_path_is_not_taken_back_unread(doubt: str):
    """By somebody who remembers the target: two operators, of whom one has read it, would write against each other without end."""
    remembered = all_known(THERE, at=PLACE)._replace(fresh=frozenset())
    seen = remembered._replace(unreadable=SEALED) if doubt == "unreadable" else all_known(Absent(), at=PLACE)
    suspended = SPEC.model_copy(update={"suspend": True})
    status = said(suspended, delivered(), seen)
    assert decide(suspended, status, remembered).step == Look(Fact.TARGET, target=PLACE)
    status = said(suspended, status, all_known(THERE, at=PLACE))
    assert status.condition("Ready").status == "True"
    assert isinstance(decide(suspended, status, remembered).step, Wait)


def test_a_key_that_surely_was_not_delivered_is_revoked_without_reading():
    """Every write got a definite refusal, and Vault is away: the key is not left alive for as long as that lasts."""
    failure = Failure(Reason.DELIVERY_FAILED, "sealed", KeyId("key-2"), maybe_committed=True, settled=True)
    status = delivered(closed_attempts=[a_closed_attempt()])
    seen = observed(unreadable=SEALED, failure=failure)
    assert decide(SPEC, status, seen).step == RevokeKey(KeyId("key-2"), status.closed_attempts[0].issuer)
    unsure = observed(unreadable=SEALED, failure=replace(failure, settled=False))
    assert isinstance(decide(SPEC, status, unsure).step, WriteStatus)


def test_older_versions_go_before_a_dead_key_leaves_the_status():
    """Revoked, pruned, dropped; where pruning fails the key stays written down, and that is said."""
    status = delivered(previous=[a_previous_key("key-0", timedelta(0))])
    revoked = all_known(THERE, at=PLACE, revoked=frozenset({KeyId("key-0")}))
    assert decide(SPEC, status, revoked).step == PruneTarget(PLACE, KeyId("key-0"))
    assert said(SPEC, status, revoked._replace(pruned=frozenset({KeyId("key-0")}))).previous == []
    failed = revoked._replace(unpruned={KeyId("key-0"): "vaultstore/vault is sealed"})
    decision = decide(SPEC, status, failed)
    assert decision.step.status.previous == status.previous
    assert "still hold the revoked key key-0: vaultstore/vault is sealed" in decision.message


def test_a_secret_has_no_older_versions():
    """Revoked and dropped."""
    status = settled(previous=[a_previous_key("key-0", timedelta(0))])
    revoked = all_known(a_target(RECORD), revoked=frozenset({KeyId("key-0")}))
    assert said(an_api_key(), status, revoked).previous == []


def test_deletion_revokes_while_vault_is_away_and_waits_to_clean():
    """The key dies first; abandon lets go of what cannot be removed."""
    gone = observed(subject=a_subject(deleting=True), revoked=frozenset({RECORD.key_id}))
    unclean = gone._replace(unclean={PLACE: "vaultstore/vault is sealed"})
    status = said(SPEC, delivered(), unclean)
    assert "cannot be removed yet: vaultstore/vault is sealed" in status.condition("Stalled").message
    let_go = unclean._replace(subject=a_subject(deleting=True, abandon=True))
    assert isinstance(decide(SPEC, status, let_go).step, ReleaseFinalizer)


def test_what_no_store_leads_to_any_more_is_left_and_named():
    """A store that is gone does not hold an ApiKey, nor its namespace: the key is dead, and its place is told."""
    seen = observed(
        subject=a_subject(deleting=True),
        revoked=frozenset({RECORD.key_id}),
        cleaned=frozenset({PLACE}),
        beyond={PLACE: "there is no vaultstore/vault"},
    )
    decision = decide(SPEC, delivered(), seen)
    assert isinstance(decision.step, ReleaseFinalizer)
    [note] = decision.notes
    assert (note.type, "still holds what was delivered there" in note.message) == ("Warning", True)


def test_an_interrupted_attempt_is_not_guessed_at_on_deletion():
    """Vault cannot be read: recorded keys die, the rest waits, unless a person lets go."""
    status = delivered(closed_attempts=[a_closed_attempt("ccccccc1")])
    subject = a_subject(deleting=True)
    seen = observed(subject=subject, unreadable=SEALED, **listed(("late", "ccccccc1")))
    assert decide(SPEC, status, seen).step == RevokeKey(RECORD.key_id, status.issuer)
    revoked = seen._replace(revoked=frozenset({RECORD.key_id}))
    assert said(SPEC, status, revoked).condition("Reconciling").reason == "StoreUnavailable"
    let_go = revoked._replace(subject=replace(subject, abandon=True))
    assert isinstance(decide(SPEC, status, let_go).step, ReleaseFinalizer)


def test_a_retained_path_outlives_its_namespace():
    """A Secret would go with it; Vault does not: key and path stay, and the namespace is not asked for."""
    seen = observed(THERE, at=PLACE, fresh=True, subject=a_subject(deleting=True), namespace_ending=True)
    decision = decide(RETAINED, delivered(), seen)
    assert (type(decision.step), decision.reason) == (ReleaseFinalizer, Reason.RETAINED)
    unread = observed(subject=a_subject(deleting=True))
    assert decide(RETAINED, delivered(), unread).step == Look(Fact.TARGET, target=PLACE)


def test_under_retain_older_versions_go_with_their_keys():
    """The overlap ends with the ApiKey, and nothing dead stays readable."""
    status = delivered(previous=[a_previous_key("key-0")])
    seen = observed(THERE, at=PLACE, fresh=True, subject=a_subject(deleting=True), revoked=frozenset({KeyId("key-0")}))
    assert decide(RETAINED, status, seen).step == PruneTarget(PLACE, KeyId("key-0"))


def test_the_place_of_a_dead_key_is_cleaned_like_a_secret():
    """Deletion under Revoke."""
    seen = observed(subject=a_subject(deleting=True), revoked=frozenset({RECORD.key_id}))
    assert decide(SPEC, delivered(), seen).step == CleanTarget(PLACE, None)
