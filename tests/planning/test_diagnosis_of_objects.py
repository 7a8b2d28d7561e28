"""What the doctor makes of issuers, Vaults and ApiKeys."""

from __future__ import annotations

from typing import Any

import pytest
from tests.planning.builders import NOW
from tests.planning.test_diagnosis import ago, said

from keywright.api.apikey import FINALIZER
from keywright.api.reasons import Reason
from keywright.errors import Rejected, Unauthorized, Unavailable
from keywright.planning.diagnosis import fleet, reaching
from keywright.planning.diagnosis.finding import State
from keywright.planning.diagnosis.reaching import Look, Waiting
from keywright.planning.standing import Seen

NOBODY = Waiting()
REFUSED = Unauthorized(
    "keyissuer/mistral: the platform refused the admin key (401); put a valid one into the Secret",
    reason="AdminKeyRefused",
)
AWAY = Unavailable("keyissuer/mistral cannot be reached at https://x: connection refused; check spec.mistral.url")
FORBIDDEN = Look(Unauthorized("you may not", reason="Forbidden"), asked=False)


def an_object(kind: str, name: str, ready: tuple[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """An issuer or a store; `ready`: status and message of that condition."""
    conditions = (
        [{"type": "Ready", "status": ready[0], "reason": "x", "message": ready[1], "lastTransitionTime": ago(hours=5)}]
        if ready
        else []
    )
    meta = {"name": name, "generation": 1, **({} if kind.startswith("Cluster") else {"namespace": "shop"})}
    return {
        "kind": kind,
        "metadata": {**meta, **more.pop("metadata", {})},
        "status": {"observedGeneration": 1, "conditions": conditions, **more},
    }


def an_issuer(ready: tuple[str, str] | None = ("True", "Works."), **more: Any) -> dict[str, Any]:
    """keyissuer/mistral in shop."""
    return an_object("KeyIssuer", "mistral", ready, **more)


@pytest.mark.parametrize(
    ("found", "look", "says"),
    [
        (an_issuer(), Look(workspaces=3), ""),
        (an_issuer(), FORBIDDEN, ""),
        (an_issuer(None), FORBIDDEN, ""),
        (
            an_issuer(),
            Look(REFUSED),
            "keyissuer/mistral in shop: the platform refused the admin key (401) → put a valid one",
        ),
        (
            an_issuer(),
            Look(AWAY),
            "connection refused, seen from here (its status: Ready, for 5 h) → check spec.mistral.url",
        ),
        (
            an_issuer(("False", "The platform refused the admin key (401); put a valid one.")),
            FORBIDDEN,
            "keyissuer/mistral in shop: The platform refused the admin key (401) → put a valid one",
        ),
        (an_issuer(("False", "No.")), Look(workspaces=3), "from here the admin key works: is the operator away"),
        (an_issuer(("False", "No."), observedGeneration=0), Look(workspaces=3), ""),
        (an_issuer(metadata={"deletionTimestamp": ago(hours=3)}), Look(workspaces=3), "hanging in deletion for 3 h"),
    ],
    ids=["works", "by its status", "unknown", "refused", "away", "status", "here only", "an older status", "leaving"],
)
def test_whether_an_issuer_can_be_used(found: dict[str, Any], look: Look, says: str):
    """A look from here counts, else the status; each with what to do."""
    findings = reaching.of_issuer(found, look, NOBODY, NOW)
    assert says in said(findings)
    assert bool(says) == any(f.state is State.WRONG for f in findings)
    assert all(f.remedy for f in findings if f.state is State.WRONG)


def test_who_waits_for_an_issuer_is_said_with_it():
    """And not once more with each of them."""
    stuck = an_api_key(ready=False, stalled=(Reason.ADMIN_KEY_REFUSED, "The platform refused the admin key."))
    other = an_api_key("kept", ready=False, stalled=(Reason.TARGET_FOREIGN, "Secret x is somebody's; write another."))
    waiting = reaching.waiting_for([stuck, other])
    ref = ("KeyIssuer", "shop", "mistral")
    found = reaching.of_issuer(an_issuer(), Look(REFUSED), waiting[ref], NOW)
    assert "; 2 ApiKeys (shop/kept, shop/search) wait for it" in said(found)
    text = said(fleet.of_api_keys([stuck, other], [ref], NOW))
    assert "admin key" not in text
    assert "ApiKey shop/kept: Secret x is somebody's → write another" in text
    assert "admin key" in said(fleet.of_api_keys([stuck], [], NOW)), "where nothing else tells of it"


def test_strays_are_worth_a_note():
    """With the command that shows them."""
    [_, note] = reaching.of_issuer(an_issuer(strays=2), Look(workspaces=3), NOBODY, NOW)
    assert (note.state, note.remedy) == (State.NOTE, "keywright sweep -n shop --issuer keyissuer/mistral shows them")


SEALED = Look(Unavailable("vaultstore/vault is sealed: unseal it"))
CUT_OFF = Look(Unavailable("vaultstore/vault cannot be reached"))


@pytest.mark.parametrize(
    ("ready", "look", "state"),
    [
        (("True", "Works."), Look(), State.OK),
        (None, Look(), State.OK),
        (("True", "Works."), SEALED, State.WRONG),
        (("True", "Works."), CUT_OFF, State.NOTE),
        (None, CUT_OFF, State.WRONG),
        (("False", "vaultstore/vault refused to log in."), Look(), State.WRONG),
    ],
    ids=["works", "unused", "sealed", "only the cluster reaches it", "nobody reaches it", "refuses"],
)
def test_whether_a_vault_can_be_used(ready: tuple[str, str] | None, look: Look, state: State):
    """One that only the cluster reaches is told by its status."""
    [finding] = reaching.of_store(an_object("VaultStore", "vault", ready), look, NOBODY, NOW)
    assert finding.state is state


def an_api_key(
    name: str = "search", *, ready: bool = True, stalled: tuple[Reason, str] | None = None, **more: Any
) -> Seen:
    """As a person sees it."""
    conditions = [
        {"type": "Ready", "status": str(ready), "reason": stalled[0] if stalled else "Issued", "message": "m"}
    ]
    if stalled:
        conditions.append(
            {"type": more.pop("of_type", "Stalled"), "status": "True", "reason": stalled[0], "message": stalled[1]}
        )
    conditions = [{**c, "lastTransitionTime": ago(hours=1)} for c in conditions]
    issuer = {"kind": "KeyIssuer", "name": "mistral", "uid": "u"}
    spec = {"issuerRef": {"name": "mistral"}, "workspace": "search-prod", "target": {"secret": {"name": "x"}}}
    own = {"namespace": "shop", "name": name, "uid": name, "generation": 1, "creationTimestamp": ago(days=1)}
    return Seen.of(
        {
            "kind": "ApiKey",
            "metadata": {**own, **more.pop("metadata", {})},
            "spec": {**spec, **more.pop("spec", {})},
            "status": {"observedGeneration": 1, "keyId": "key-1", "issuer": issuer, "conditions": conditions, **more},
        }
    )


def test_what_many_apikeys_have_in_common_is_said_once():
    """By the words that it is said in."""
    same = (Reason.NOT_GRANTED, "keyissuer/mistral grants nothing to namespace shop; ask its owner.")
    found = fleet.of_api_keys([an_api_key(f"key-{i}", ready=False, stalled=same) for i in range(9)], [], NOW)
    assert said(found).splitlines() == [
        "9 ApiKeys (shop/key-0, shop/key-1, shop/key-2, …): keyissuer/mistral grants nothing to namespace shop → ask its owner"
    ]


def test_a_schedule_that_never_fires_is_found_without_any_operator():
    """By the same words."""
    seen = an_api_key(spec={"rotation": {"schedule": "0 3 30 2 *"}})
    assert (
        "schedule '0 3 30 2 *' never comes round (the key that is there still works) → write a date that exists"
        in said(fleet.of_api_keys([seen], [], NOW))
    )


def test_a_spec_that_cannot_be_read_is_told():
    """An object older than the CRD's rules."""
    assert "spec.workspace" in said(fleet.of_api_keys([an_api_key(spec={"workspace": None})], [], NOW))


def test_all_well_is_one_line():
    """With how many there are."""
    [finding] = fleet.of_api_keys([an_api_key(), an_api_key("b", ready=False, spec={"suspend": True})], [], NOW)
    assert (finding.state, finding.text) == (State.OK, "1 of 2 ApiKeys are Ready, 1 suspended")


def test_what_is_tried_again_is_told_with_whether_the_key_works():
    """Also what status alone would not call Stalled; what nobody has answered is told of the operator."""
    away = an_api_key(stalled=(Reason.DELIVERY_FAILED, "Secret x is not writable"), of_type="Reconciling", next=RETRY)
    text = said(fleet.of_api_keys([away], [], NOW))
    assert text == (
        "ApiKey shop/search: Secret x is not writable (the key that is there still works) → "
        "mend what keeps the target from being written; it is tried again"
    )
    assert said(fleet.of_api_keys([an_api_key(observedGeneration=0)], [], NOW)) == ""


RETRY = {"action": "Retry", "reason": "Secret x is not writable"}


def a_held_one(seconds: float, **how: Any) -> Seen:
    """In deletion for so long."""
    metadata = {"deletionTimestamp": ago(seconds=seconds), "finalizers": [FINALIZER]}
    return an_api_key(metadata=metadata, **how)


FAILED = {
    "stalled": (Reason.REVOCATION_FAILED, "m"),
    "next": {"action": "Release", "reason": "Key key-1 cannot be revoked yet: no answer; check it"},
}


def test_a_finalizer_that_is_stuck_names_the_annotation_and_what_it_means():
    """As soon as a revocation has failed; the namespace that waits for it, too."""
    held = fleet.hanging([a_held_one(1, **FAILED), a_held_one(1), an_api_key("b")], NOW)
    assert len(held) == 1
    text = said(fleet.of_deletions(held, ["shop"], served=True, now=NOW))
    assert (
        "ApiKey shop/search hangs in deletion for 1 s: Key key-1 cannot be revoked yet: no answer → mend keyissuer/mistral"
        in text
    )
    assert (
        "revoke its keys at the platform (key-1), then kubectl -n shop annotate ak search keywright.dev/abandon=true"
        in text
    )
    assert "a key not revoked by then lives on" in text
    assert "namespace shop stays Terminating: ApiKey search in it waits" in text


def test_without_an_operator_the_annotation_is_no_way_out():
    """Nobody reads it; the ids are there for whoever ends the keys by hand."""
    held = fleet.hanging([a_held_one(600), a_held_one(20)], NOW)
    text = said(fleet.of_deletions(held, ["shop"], served=False, now=NOW))
    assert "ApiKey shop/search hangs in deletion, for 10 min, and no operator is there" in text
    assert "namespace shop stays Terminating by it" in text
    assert "keywright.dev/abandon needs one, too" in text
    assert "(ids: key-1)" in text
    assert fleet.of_deletions([], [], served=False, now=NOW) == []


def test_late_keys_are_waited_for():
    """That is no trouble."""
    waits = {"stalled": (Reason.WAITING_FOR_LATE_KEYS, "m"), "of_type": "Reconciling"}
    held = fleet.hanging([a_held_one(300, **waits, next={"action": "Release", "reason": "Late keys may come."})], NOW)
    [finding] = fleet.of_deletions(held, [], served=True, now=NOW)
    assert finding.state is State.NOTE


def test_an_issuer_that_cannot_be_read_is_told():
    """With its own words."""
    look = Look(Rejected("spec.mistral: write it", reason="InvalidSpec"))
    assert "keyissuer/mistral in shop: spec.mistral: write it → edit the field" in said(
        reaching.of_issuer(an_issuer(), look, NOBODY, NOW)
    )
