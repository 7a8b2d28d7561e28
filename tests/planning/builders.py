"""Plain values for planning, each with what a test does not care about filled in."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from keywright.api.apikey import ApiKeySpec, KeyIssuerIdentity
from keywright.api.apikey_status import ApiKeyStatus, Attempt, ClosedAttempt, Handled, PreviousKey
from keywright.api.keyissuer import KeyIssuerSpec
from keywright.api.reasons import Reason
from keywright.keys import AttemptId, KeyId, KeyRecord, ListedKey, ResourceKey, Tag, Workspace, default_label
from keywright.planning import transitions
from keywright.planning.layout import Owner, layout_digest_of
from keywright.planning.observed import (
    Absent,
    IssuerFacts,
    Observed,
    Present,
    Refusal,
    Subject,
    TargetLayout,
    TargetState,
)
from keywright.planning.plan import plan
from keywright.planning.situation import Situation
from keywright.planning.steps import Decision, WriteStatus

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KEY = ResourceKey("search", "pipeline")
UID = "0d3a1c2b-aaaa-4bbb-8ccc-000000000001"
CLUSTER = "c1u5ter0"
ISSUER = KeyIssuerIdentity(kind="KeyIssuer", name="mistral", uid="issuer-1")
SECRET = "mistral-key"
WORKSPACE = Workspace("11111111-1111-4111-8111-111111111111", "search-prod")

NO_ANSWER = Refusal(Reason.ISSUER_UNAVAILABLE, "no answer", stalled=False)
"""An issuer that is away for a while."""


def an_api_key(**changes: Any) -> ApiKeySpec:
    """A spec with a validity of 90 days; `changes` are fields of the spec, None takes one away."""
    spec: dict[str, Any] = {
        "issuerRef": {"name": "mistral"},
        "workspace": "search-prod",
        "expiry": {"validity": "90d"},
        "target": {"secret": {"name": SECRET}},
    }
    spec.update(changes)
    return ApiKeySpec.model_validate({name: value for name, value in spec.items() if value is not None})


def a_subject(**changes: Any) -> Subject:
    """The ApiKey search/pipeline, with its finalizer on."""
    subject = Subject(
        key=KEY,
        uid=UID,
        generation=1,
        created_at=NOW - timedelta(days=1),
        deleting=False,
        finalizer=True,
        rotate=None,
        compromised=None,
        abandon=False,
    )
    return replace(subject, **changes)


def a_record(key_id: str = "key-1", attempt: str = "aaaaaaa1", **changes: Any) -> KeyRecord:
    """The delivered record of a key issued an hour ago for 90 days."""
    record = KeyRecord(
        key_id=KeyId(key_id),
        attempt=AttemptId(attempt),
        revision=1,
        cluster=CLUSTER,
        owner=KEY,
        owner_uid=UID,
        issuer=ISSUER,
        masked="abcd...wxyz",
        digest=hashlib.sha256(key_id.encode()).hexdigest(),
        issued_at=NOW - timedelta(hours=1),
        expires_on=(NOW + timedelta(days=90)).date(),
        workspace_id=WORKSPACE.id,
        workspace_name=WORKSPACE.name,
        workspace="search-prod",
        label=default_label(KEY.namespace, KEY.name),
        expiry="90d",
        handled=Handled(),
    )
    return replace(record, **changes)


def a_layout(spec: ApiKeySpec | None = None, name: str | None = None) -> TargetLayout:
    """How the Secret of a spec is to look."""
    s = Situation(spec or an_api_key(), ApiKeyStatus(), observed(), NOW)
    return s.layout_at(name or s.wanted_place or SECRET)


def a_target(record: KeyRecord | None = None, spec: ApiKeySpec | None = None, **changes: Any) -> Present:
    """A Secret of ours, holding the key of `record`, that looks as `spec` says."""
    spec = spec or an_api_key()
    owner = Owner(KEY, UID, CLUSTER, spec.deletion_policy == "Revoke")
    target = Present(
        owner=KEY,
        owner_uid=UID,
        version="7",
        record=record,
        digest=record.digest if record else None,
        layout_digest=layout_digest_of(a_layout(spec), owner),
        fence=None,
    )
    return replace(target, **changes)


def facts(**changes: Any) -> IssuerFacts:
    """A KeyIssuer of the namespace that works."""
    spec = KeyIssuerSpec.model_validate(
        {"mistral": {"user": "dev@example.com", "adminKeySecretRef": {"name": "admin", "key": "key"}}}
    )
    usable = IssuerFacts(
        identity=ISSUER,
        spec=spec,
        workspace=WORKSPACE,
        user_id="22222222-2222-4222-8222-222222222222",
        namespace_labels=None,
        keys_in_namespace=1,
        held=True,
    )
    return replace(usable, **changes)


def observed(target: TargetState | None = None, *, at: str = SECRET, fresh: bool = False, **changes: Any) -> Observed:
    """What a pass knows: nothing but the ApiKey itself, and what is given; `target` stands at the Secret `at`."""
    seen = Observed(
        subject=a_subject(),
        cluster_id=CLUSTER,
        min_interval=300.0,
        late_window=600.0,
        next_attempt=AttemptId("nextnext"),
        targets={at: target} if target is not None else {},
        fresh=frozenset({at}) if fresh else frozenset(),
    )
    return seen._replace(**changes)


def all_known(target: TargetState | None = None, **changes: Any) -> Observed:
    """A pass that has looked at everything, and found a usable issuer and, unless told, no target."""
    return observed(
        Absent() if target is None else target, fresh=True, **{"issuer": facts(), "rehearsal": True, **changes}
    )


def listed(*ids: tuple[str, str], last_used: date | None = None) -> dict[str, Any]:
    """Fields of an Observed: these keys (id, attempt) of this ApiKey were listed just now."""
    keys = tuple(
        ListedKey(KeyId(key_id), f"label {Tag.of(CLUSTER, UID, attempt)}", "abcd...wxyz", None, last_used, WORKSPACE.id)
        for key_id, attempt in ids
    )
    return {"listing": keys, "searched": frozenset({(ISSUER.uid, Tag.search(CLUSTER, UID))})}


def an_attempt(attempt: str = "aaaaaaa1", **changes: Any) -> Attempt:
    """One that was written down a minute ago."""
    fields: dict[str, Any] = {
        "id": attempt,
        "started_at": NOW - timedelta(minutes=1),
        "reason": "NotIssued",
        "generation": 1,
        "issuer": ISSUER,
        "target": SECRET,
        "handled": Handled(),
    }
    return Attempt(**{**fields, **changes})


def a_closed_attempt(attempt: str = "ccccccc1", ago: timedelta = timedelta(minutes=1), **changes: Any) -> ClosedAttempt:
    """One that ended without a delivery, a minute after it began."""
    fields: dict[str, Any] = {
        "id": attempt,
        "closed_at": NOW - ago,
        "outcome": "unseen",
        "issuer": ISSUER,
        "started_at": NOW - ago - timedelta(minutes=1),
    }
    return ClosedAttempt(**{**fields, **changes})


def a_previous_key(key_id: str = "key-0", ends: timedelta = timedelta(hours=1), **changes: Any) -> PreviousKey:
    """An older key whose overlap ends after `ends`."""
    fields: dict[str, Any] = {"key_id": key_id, "issuer": ISSUER, "revoke_at": NOW + ends}
    return PreviousKey(**{**fields, **changes})


def settled(spec: ApiKeySpec | None = None, record: KeyRecord | None = None, **changes: Any) -> ApiKeyStatus:
    """The status once the key of `record` is delivered and nothing is left to say; `changes` on top of it."""
    spec, record = spec or an_api_key(), record or a_record()
    seen = observed(a_target(record, spec), delivered=record.attempt)
    open_attempt = ApiKeyStatus(attempt=an_attempt(record.attempt, started_at=record.issued_at), observed_generation=1)
    status = transitions.settled(Situation(spec, open_attempt, seen, record.issued_at), record, adopted=False)
    return reread(status.model_copy(update=changes))


def reread(status: ApiKeyStatus) -> ApiKeyStatus:
    """As the apiserver gives it back."""
    return ApiKeyStatus.model_validate(status.to_dict())


def said(spec: ApiKeySpec, status: ApiKeyStatus, seen: Observed) -> ApiKeyStatus:
    """The status that is decided, as it reads back."""
    step = decide(spec, status, seen).step
    assert isinstance(step, WriteStatus)
    return reread(step.status)


def decide(spec: ApiKeySpec, status: ApiKeyStatus, seen: Observed, now: datetime = NOW) -> Decision:
    """The composed planner, asked twice."""
    first = plan(spec, status, seen, now)
    assert first == plan(spec, status, seen, now)
    return first


def a_day(text: str) -> date:
    """A calendar day."""
    return date.fromisoformat(text)
