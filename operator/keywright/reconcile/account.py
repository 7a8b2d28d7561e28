"""What a pass leaves behind for people: counters, and one log line a decision with the ApiKey and the key that it is about.

So do looks at issuers and stores, where these say something new. What has changed is read at INFO; how that came to be, and each
pass, at DEBUG. Decides nothing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from keywright.api.apikey import called
from keywright.api.reasons import Reason
from keywright.keys import ResourceKey
from keywright.planning.observed import Refusal
from keywright.planning.places import in_vault
from keywright.planning.removal import irrevocable
from keywright.planning.steps import (
    AddFinalizer,
    FenceTarget,
    HoldIssuer,
    IssueAndDeliver,
    Look,
    PruneTarget,
    ReleaseFinalizer,
    RestartWorkload,
    RevokeKey,
    RewriteTarget,
    Wait,
    WriteStatus,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from keywright.api.apikey_status import ApiKeyStatus
    from keywright.api.base import Condition
    from keywright.metrics import Metrics
    from keywright.planning.observed import Observed
    from keywright.planning.situation import Situation
    from keywright.planning.steps import Decision, Step
    from keywright.ports.cluster import Object

__all__ = ["Account", "log_fields", "tell_condition"]

_log = logging.getLogger(__name__)


class Account:
    """Of all ApiKeys."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._irrevocable: dict[ResourceKey, int] = {}
        # Whole numbers, summed without a line of Python in between: a scrape's thread may ask while a pass writes.
        metrics.irrevocable.set_function(lambda: sum(self._irrevocable.values()))

    def taken(self, decision: Decision, situation: Situation, observed: Observed, *, done: bool) -> None:
        """A step was taken; `observed` is what is known since. Not `done`: it was refused, or got no answer."""
        if done:
            self._count(decision)
        else:
            self._metrics.failures.labels(type(decision.step).__name__, _why(decision.step, observed)).inc()
        self._write(_level(decision, situation, done=done), decision, situation)

    def at_rest(self, decision: Decision, situation: Situation) -> None:
        """Nothing is to be done: as this pass leaves it, the next one finds out anew."""
        key = situation.observed.subject.key
        if left := irrevocable(situation):
            self._irrevocable[key] = len(left)
        else:
            self._irrevocable.pop(key, None)
        self._write(logging.DEBUG, decision, situation)

    def gone(self, key: ResourceKey) -> None:
        """There is no such ApiKey any more."""
        self._irrevocable.pop(key, None)

    def _count(self, decision: Decision) -> None:
        match decision.step:
            case WriteStatus(purpose="settle", status=status):
                if decision.reason is Reason.ADOPTED:
                    self._metrics.adopted.inc()
                else:
                    self._metrics.issued.labels(
                        status.recent_issuances[-1].reason if status.recent_issuances else ""
                    ).inc()
            case WriteStatus(purpose="close"):
                self._metrics.attempts_closed.labels(decision.reason).inc()
            case IssueAndDeliver(layout=layout) | RewriteTarget(layout=layout):
                self._metrics.delivered.labels("Vault" if in_vault(layout.name) else "Secret").inc()
            case RevokeKey():
                self._metrics.revoked.labels(decision.reason).inc()
            case RestartWorkload():
                self._metrics.restarted.inc()
            case _:
                pass

    def _write(self, level: int, decision: Decision, s: Situation) -> None:
        if _log.isEnabledFor(level):
            about = {
                "apikey": str(s.observed.subject.key),
                "reason": str(decision.reason),
                "step": type(decision.step).__name__,
                "key_id": _key_of(decision.step, s),
            }
            _log.log(level, "%s", decision.message, extra=about)


def tell_condition(about: Object, before: Sequence[Condition], after: Sequence[Condition]) -> None:
    """A line where an issuer or a store says something new of itself; not where it only counts anew."""
    if [(c.status, c.reason, c.message) for c in before] == [(c.status, c.reason, c.message) for c in after]:
        return
    kind, meta = about["kind"], about["metadata"]
    extra = log_fields((kind, meta.get("namespace"), meta["name"]))
    for c in after:
        level = logging.INFO if c.status == "True" else logging.WARNING
        _log.log(level, "%s: %s", called(kind, meta["name"]), c.message, extra={**extra, "reason": c.reason})


def log_fields(key: Hashable) -> dict[str, str | None]:
    """What names an ApiKey, an issuer or a store in a log line."""
    match key:
        case ResourceKey():
            return {"apikey": str(key)}
        case (str(kind), str() | None as namespace, str(name)):
            return {"issuer" if kind.endswith("Issuer") else "store": called(kind, name), "namespace": namespace}
        case _:
            return {"apikey": str(key)}


def _level(decision: Decision, s: Situation, *, done: bool) -> int:
    match decision.step:
        case _ if not done:
            return logging.DEBUG  # the next decision tells of it
        case Look() | AddFinalizer() | HoldIssuer() | IssueAndDeliver() | Wait() | WriteStatus(purpose="intent"):
            return logging.DEBUG
        case WriteStatus(purpose="report", status=status) if not decision.notes and _said(status) == _said(s.status):
            return logging.DEBUG  # the day of its last use, as of each key that is used, each day
        case ReleaseFinalizer() if any(note.type == "Warning" for note in decision.notes):
            # A key is left behind, and a namespace on its way out takes no event that tells so.
            return logging.WARNING
        case _:
            return logging.INFO


def _said(status: ApiKeyStatus) -> list[tuple[str, str, str, str]]:
    return [(c.type, c.status, c.reason, c.message) for c in status.conditions]


def _key_of(step: Step, s: Situation) -> str | None:
    """The id of the key that a step is about: its own, else the current one."""
    match step:
        case RevokeKey(key_id=key_id) | PruneTarget(key_id=key_id):
            return key_id
        case WriteStatus(status=status):
            return status.key_id
        case _:
            return s.status.key_id


def _why(step: Step, observed: Observed) -> Reason:
    """Why a step was not done."""
    match step:
        case IssueAndDeliver() if observed.failure is not None:
            return observed.failure.reason
        case RevokeKey(key_id=key_id) if key_id in observed.failed_revocations:
            return observed.failed_revocations[key_id].reason
        case HoldIssuer() if isinstance(observed.issuer, Refusal):
            return observed.issuer.reason
        case FenceTarget() if isinstance(observed.listing, Refusal):
            return observed.listing.reason
        case RewriteTarget() if isinstance(observed.rehearsal, Refusal):
            return observed.rehearsal.reason
        case RestartWorkload():
            return Reason.RESTART_FAILED
        case _:
            return Reason.TARGET_REFUSED
