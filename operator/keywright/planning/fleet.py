"""Many ApiKeys, and the issuers and stores that they use, as one report: what is wrong first, then what is due. Pure.

Serves `keywright status`. One trouble that holds up a thousand ApiKeys is one problem. Neighbours: standing.py judges one ApiKey;
api/report.py is the shape of the answer.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from keywright.api.apikey import called
from keywright.api.base import Condition
from keywright.api.reasons import REMEDIES, Reason
from keywright.api.report import (
    FleetReport,
    IssuerName,
    KeyDetail,
    KeyReport,
    ObjectName,
    OperatorReport,
    Problem,
    Summary,
    UsedReport,
)
from keywright.planning.places import named, place_of
from keywright.planning.spans import span
from keywright.planning.standing import WEEK, Seen, Trouble, notices, sentence, state_of, trouble_of
from keywright.planning.why import why

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from keywright.api.report import EventReport, Severity

__all__ = ["Lease", "Read", "Ref", "detailed", "key_report", "operator_of", "report_of", "used_by"]

Ref = tuple[str, str | None, str]
"""Kind, namespace (None: of a cluster kind) and name of an issuer or a store."""

_BY_ITSELF: Final = frozenset({Reason.ISSUER_UNAVAILABLE, Reason.ISSUER_RATE_LIMITED, Reason.STORE_UNAVAILABLE})
"""What an issuer or a store gets over without a person."""
_ORDER: Final[dict[Severity, int]] = {"NeedsPerson": 0, "Retrying": 1, "Notice": 2}
_FOREVER: Final = datetime.max.replace(tzinfo=UTC)
_STALE: Final = timedelta(minutes=1)
"""A Lease that is as old as this, or as four of its durations, is nobody's: clocks may differ by some seconds."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act, as it stands in the cluster."""

    place: str
    holder: str
    renewed_at: datetime | None
    seconds: float

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Lease:
        """From its JSON."""
        metadata, spec = obj["metadata"], obj.get("spec") or {}
        renewed = spec.get("renewTime")
        return cls(
            place=f"{metadata['namespace']}/{metadata['name']}",
            holder=spec.get("holderIdentity") or "",
            renewed_at=datetime.fromisoformat(renewed).astimezone(UTC) if renewed else None,
            seconds=spec.get("leaseDurationSeconds") or 15,
        )

    def fresh(self, now: datetime) -> bool:
        """Whether somebody holds it."""
        longest = max(_STALE, timedelta(seconds=4 * self.seconds))
        return bool(self.holder) and self.renewed_at is not None and now - self.renewed_at < longest


@dataclass(frozen=True, slots=True)
class Read:
    """What a command has read, as JSON where it is not said otherwise. `namespace` None: all. `unread`: what it may not, in sentences."""

    namespace: str | None
    api_keys: Sequence[Seen]
    used: Mapping[Ref, Mapping[str, Any]] = field(default_factory=dict)
    leases: Sequence[Lease] = ()
    unread: Sequence[str] = ()


def report_of(read: Read, now: datetime) -> FleetReport:
    """The whole answer."""
    keys = sorted((key_report(seen, now) for seen in read.api_keys), key=_due)
    issuers: Counter[Ref] = Counter(ref for seen in read.api_keys for ref in _issuer_of(seen))
    stores: Counter[Ref] = Counter(ref for seen in read.api_keys for ref in _store_of(seen))
    operator = operator_of(read, now)
    return FleetReport(
        at=now.replace(microsecond=0),
        namespace=read.namespace,
        summary=Summary(
            total=len(keys),
            ready=sum(key.ready for key in keys),
            renew_within_week=sum(
                key.ready and key.renewal_time is not None and key.renewal_time - now < WEEK for key in keys
            ),
            need_person=sum(key.state in ("Stalled", "Unobserved") for key in keys),
        ),
        operator=operator,
        problems=_problems(read, operator, now),
        api_keys=keys,
        issuers=[_used(ref, read.used.get(ref), count) for ref, count in sorted(issuers.items(), key=str)],
        stores=[_used(ref, read.used.get(ref), count) for ref, count in sorted(stores.items(), key=str)],
        unread=list(read.unread),
    )


def detailed(
    report: FleetReport, read: Read, seen: Seen, events: list[EventReport] | None, now: datetime
) -> FleetReport:
    """The same for the one ApiKey that was asked for by name."""
    status, spec = seen.status, seen.spec
    detail = KeyDetail(
        key_id=status.key_id,
        revision=status.revision,
        issued_at=status.issued_at,
        last_used=status.last_used,
        target=status.target,
        restart=(spec.rotation.restart if spec and spec.rotation else None) or [],
        previous=status.previous,
        attempt=status.attempt,
        rollout=status.rollout,
        conditions=status.conditions,
        why=why(seen, read.used.values(), report.operator, now),
        events=events,
    )
    [key] = report.api_keys
    return report.model_copy(update={"api_keys": [key.model_copy(update={"detail": detail})]})


def key_report(seen: Seen, now: datetime) -> KeyReport:
    """One ApiKey's line."""
    status, spec = seen.status, seen.spec
    ready = status.condition("Ready")
    place = status.target.name if status.target else place_of(spec.target) if spec else None
    return KeyReport(
        namespace=seen.namespace,
        name=seen.name,
        state=state_of(seen, now),
        ready=seen.ready,
        reason=ready.reason if ready else None,
        message=ready.message if ready else None,
        masked_key=status.masked_key,
        workspace=status.workspace,
        wanted_workspace=spec.workspace if spec else None,
        issuer=IssuerName(kind=spec.issuer_ref.kind, name=spec.issuer_ref.name) if spec else None,
        place=named(place) if place else None,
        expires_at=status.expires_at,
        renewal_time=status.renewal_time,
        next=status.next,
        older_keys=len(status.previous),
    )


def operator_of(read: Read, now: datetime) -> OperatorReport:
    """Whether anything seems to be at work."""
    fresh = next((lease for lease in read.leases if lease.fresh(now)), None)
    lease = fresh or next(iter(read.leases), None)
    if lease is None:
        return OperatorReport(state="Unknown")
    return OperatorReport(
        state="Working" if fresh else "Silent",
        holder=lease.holder or None,
        lease=lease.place,
        renewed_at=lease.renewed_at,
    )


def used_by(seen: Seen) -> list[Ref]:
    """The issuer and the store that an ApiKey names."""
    return [*_issuer_of(seen), *_store_of(seen)]


def _issuer_of(seen: Seen) -> list[Ref]:
    if seen.spec is None:
        return []
    ref = seen.spec.issuer_ref
    return [(ref.kind, None if ref.kind.startswith("Cluster") else seen.namespace, ref.name)]


def _store_of(seen: Seen) -> list[Ref]:
    if seen.spec is None or seen.spec.target.vault is None:
        return []
    ref = seen.spec.target.vault.store_ref
    return [(ref.kind, None if ref.kind.startswith("Cluster") else seen.namespace, ref.name)]


def _problems(read: Read, operator: OperatorReport, now: datetime) -> list[Problem]:
    """Each once, with all that it holds up."""
    troubles = [(seen, trouble) for seen in read.api_keys if (trouble := trouble_of(seen, now)) is not None]
    found: list[Problem] = []
    unanswered = [(seen, trouble) for seen, trouble in troubles if trouble.reason is Reason.NOT_OBSERVED]
    if unanswered or operator.state == "Silent":
        found.append(_idle(operator, unanswered, now))
    explained: set[str] = {seen.uid for seen, _ in unanswered}
    for ref in sorted({ref for seen in read.api_keys for ref in used_by(seen)}, key=str):
        condition = _ready_of(read.used.get(ref))
        if condition is None or condition.status != "False":
            continue
        held = [
            (s, t) for s, t in troubles if ref in used_by(s) and t.reason == condition.reason and s.uid not in explained
        ]
        explained |= {seen.uid for seen, _ in held}
        found.append(_of_used(ref, read.used[ref], condition, [seen for seen, _ in held]))
    groups: defaultdict[tuple[Severity, Reason, str], list[tuple[Seen, Trouble]]] = defaultdict(list)
    for seen, trouble in troubles:
        if seen.uid not in explained:
            groups[trouble[:3]].append((seen, trouble))
    for seen in read.api_keys:
        for notice in notices(seen, now):
            groups[notice[:3]].append((seen, notice))
    for (severity, reason, message), members in groups.items():
        since = min((trouble.since for _, trouble in members if trouble.since), default=None)
        found.append(_problem(Trouble(severity, reason, message, since), [seen for seen, _ in members]))
    found += [_strays(ref, obj) for ref, obj in read.used.items() if _count(obj, "strays")]
    return sorted(found, key=_pressing)


def _pressing(problem: Problem) -> tuple[int, bool, bool, int, datetime, str]:
    """What needs a person first: an operator that does not work, then an issuer or a store, then the keys that do not work."""
    return (
        _ORDER[problem.severity],
        problem.reason != Reason.NOT_OBSERVED,
        problem.source is None,
        -problem.not_ready,
        problem.first_expiry or _FOREVER,
        problem.message,
    )


def _problem(trouble: Trouble, held: Iterable[Seen], source: Ref | None = None) -> Problem:
    api_keys = sorted(held, key=lambda seen: (seen.status.expires_at or _FOREVER, seen.namespace, seen.name))
    return Problem(
        severity=trouble.severity,
        reason=trouble.reason,
        message=trouble.message,
        remedy=REMEDIES[trouble.reason],
        since=trouble.since,
        source=ObjectName(kind=source[0], namespace=source[1], name=source[2]) if source else None,
        api_keys=[ObjectName(kind="ApiKey", namespace=seen.namespace, name=seen.name) for seen in api_keys],
        not_ready=sum(not seen.ready for seen in api_keys),
        first_expiry=min((seen.status.expires_at for seen in api_keys if seen.status.expires_at), default=None),
    )


def _idle(operator: OperatorReport, unanswered: list[tuple[Seen, Trouble]], now: datetime) -> Problem:
    """Nothing seems to be at work, or it passes over these."""
    first = min(
        (trouble for _, trouble in unanswered if trouble.since), key=lambda t: t.since or _FOREVER, default=None
    )
    waits = f" {first.message}" if first else ""
    if operator.state == "Working":
        text = f"{operator.holder} holds the Lease {operator.lease} and passes over these ApiKeys.{waits}"
    elif operator.lease is None:
        text = f"No operator seems to work.{waits}"
    else:
        ago = (
            f"was renewed last {span(now - operator.renewed_at)} ago by this machine's clock"
            if operator.renewed_at
            else "was never held"
        )
        text = f"No operator seems to work: the Lease {operator.lease} {ago}.{waits}"
    since = first.since if first else operator.renewed_at
    return _problem(Trouble("NeedsPerson", Reason.NOT_OBSERVED, text, since), [seen for seen, _ in unanswered])


def _of_used(ref: Ref, obj: Mapping[str, Any], condition: Condition, held: list[Seen]) -> Problem:
    reason = Reason.of(condition.reason, Reason.ISSUER_INVALID)
    severity: Severity = "Retrying" if reason in _BY_ITSELF else "NeedsPerson"
    name = called(ref[0], ref[2])
    text = condition.message if name in condition.message else f"{name}: {condition.message}"
    problem = _problem(Trouble(severity, reason, sentence(text), condition.last_transition_time), held, ref)
    secret = _admin_secret(obj) if reason in (Reason.ADMIN_KEY_MISSING, Reason.ADMIN_KEY_REFUSED) else None
    return problem.model_copy(update={"remedy": f"{problem.remedy} It is {secret}."}) if secret else problem


def _admin_secret(obj: Mapping[str, Any]) -> str | None:
    """The Secret with an issuer's admin key, by its name."""
    ref = ((obj.get("spec") or {}).get("mistral") or {}).get("adminKeySecretRef") or {}
    namespace = ref.get("namespace") or obj["metadata"].get("namespace")
    return f"Secret {namespace}/{ref['name']}, data key {ref.get('key')}" if "name" in ref else None


def _strays(ref: Ref, obj: Mapping[str, Any]) -> Problem:
    count = _count(obj, "strays") or 0
    keys = "1 live key that no ApiKey names" if count == 1 else f"{count} live keys that no ApiKey names"
    return _problem(Trouble("Notice", Reason.STRAY_KEY, f"{called(ref[0], ref[2])} lists {keys}."), [], ref)


def _used(ref: Ref, obj: Mapping[str, Any] | None, count: int) -> UsedReport:
    condition = _ready_of(obj)
    return UsedReport(
        kind=ref[0],
        namespace=ref[1],
        name=ref[2],
        ready=condition.status == "True" if condition else None,
        reason=condition.reason if condition else None,
        message=condition.message if condition else None,
        api_keys=count,
        keys=_count(obj, "keys"),
        strays=_count(obj, "strays"),
    )


def _ready_of(obj: Mapping[str, Any] | None) -> Condition | None:
    conditions = ((obj or {}).get("status") or {}).get("conditions") or ()
    return next((Condition.model_validate(c) for c in conditions if c.get("type") == "Ready"), None)


def _count(obj: Mapping[str, Any] | None, name: str) -> int | None:
    count = ((obj or {}).get("status") or {}).get(name)
    return count if isinstance(count, int) else None


def _due(key: KeyReport) -> tuple[datetime, str, str]:
    """What is due next comes first."""
    at = key.next.at if key.next and key.next.at else key.renewal_time or key.expires_at
    return (at or _FOREVER, key.namespace, key.name)
