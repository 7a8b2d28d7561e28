"""Situations of the composed planner as rows, each named by the sentence that must hold; and what they are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.planning.builders import (
    NOW,
    a_closed_attempt,
    a_previous_key,
    a_record,
    a_subject,
    a_target,
    all_known,
    an_api_key,
    an_attempt,
    decide,
    observed,
    reread,
    settled,
)

from keywright.api.apikey_status import ApiKeyStatus
from keywright.api.reasons import Reason
from keywright.keys import ResourceKey
from keywright.planning.observed import Foreign, Observed, Refusal
from keywright.planning.steps import WriteStatus

if TYPE_CHECKING:
    from keywright.api.apikey import ApiKeySpec


@dataclass(frozen=True)
class Row:
    """One situation and what is decided; `of` are attributes of the step, `says` a part of Ready's message, or of the decision's.

    `ready`: its status, where that matters.
    """

    step: type
    reason: Reason
    spec: ApiKeySpec = field(default_factory=an_api_key)
    status: ApiKeyStatus = field(default_factory=ApiKeyStatus)
    seen: Observed = field(default_factory=observed)
    of: dict[str, Any] = field(default_factory=dict)
    says: str = ""
    types: tuple[str, ...] = ()
    ready: str = ""

    def holds(self) -> None:
        """The step, its reason, and what Ready says."""
        decision = decide(self.spec, self.status, self.seen)
        assert type(decision.step) is self.step, decision
        assert decision.reason is self.reason, decision
        for name, value in self.of.items():
            assert getattr(decision.step, name) == value, decision
        if isinstance(decision.step, WriteStatus):
            conditions = {c.type: c for c in decision.step.status.conditions}
            assert self.says in conditions["Ready"].message if self.says else True, conditions["Ready"].message
            assert not self.types or tuple(conditions) == self.types
            assert not self.ready or conditions["Ready"].status == self.ready
            assert reread(decision.step.status) == reread(reread(decision.step.status))
        else:
            assert self.says in decision.message


def with_secret(**secret: Any) -> ApiKeySpec:
    """A spec whose Secret has these fields besides its name."""
    return an_api_key(target={"secret": {"name": "mistral-key", **secret}})


ADOPTING = with_secret(adopt=True)


ADOPTABLE = Foreign("a Secret that keywright did not make", version="3", adoptable_by="pipeline")


RECORD = a_record()


THERE = a_target(RECORD)


ELSEWHERE = an_api_key(target={"secret": {"name": "elsewhere"}})


OTHER_KEY = ResourceKey("search", "older")


OTHER_UID = "ffffffff-0000-4000-8000-000000000000"


REFUSED = Refusal(Reason.ADMIN_KEY_REFUSED, "the platform refused the admin key (401); put a valid one")


GONE = Refusal(Reason.ISSUER_CREDENTIALS_GONE, "keyissuer/mistral has no admin key; create it")


ISSUER_GOES = Refusal(
    Reason.ISSUER_DELETING, "keyissuer/mistral is being deleted; write another issuer into spec.issuerRef"
)


MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def triggered(**values: str) -> Observed:
    """A settled key's pass in which trigger annotations are there."""
    return all_known(THERE, subject=a_subject(**values))


def paused(at: timedelta, **changes: Any) -> ApiKeyStatus:
    """A settled status after failures, with a pause that ends after `at`."""
    return settled(failures=1, next_attempt_at=NOW + at, **changes)


def deleting(**changes: Any) -> Observed:
    """A pass over a deleted ApiKey."""
    subject = a_subject(deleting=True, abandon=changes.pop("abandon", False))
    return observed(changes.pop("target", THERE), **{"subject": subject, **changes})


OPEN = ApiKeyStatus(attempt=an_attempt(), observed_generation=1)


TODAY, YESTERDAY = NOW.date(), (NOW - DAY).date()


TOLD = a_closed_attempt(ago=DAY, in_use=["key-c"])


DUE = settled(previous=[a_previous_key(ends=-MINUTE)])


ALL_REVOKED = {"revoked": frozenset({"key-1", "key-0"})}


RETAIN = an_api_key(deletionPolicy="Retain")


RETAINING = {"fresh": frozenset({"mistral-key"}), "namespace_ending": False}
