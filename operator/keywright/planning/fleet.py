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
from keywright.planning.standing import (
    WEEK,
    Seen,
    Trouble,
    notices,
    remedy_of_used,
    state_of,
    trouble_of,
    trouble_of_used,
)
from keywright.planning.used import Ref, counted_in, ready_of
from keywright.planning.why import why

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from keywright.api.report import EventReport, Severity
    from keywright.planning.leases import Lease

__all__ = ["Read", "detailed", "key_report", "operator_of", "report_of"]

_ORDER: Final[dict[Severity, int]] = {"NeedsPerson": 0, "Retrying": 1, "Notice": 2}
_FOREVER: Final = datetime.max.replace(tzinfo=UTC)
_DOUBT: Final = timedelta(seconds=45)
"""The apiserver is not asked for the time: this machine's may be so far from it."""


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
    used = sorted(Counter(ref for seen in read.api_keys for ref in seen.uses).items(), key=str)
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
        issuers=[_used(ref, read.used.get(ref), count) for ref, count in used if ref[0].endswith("Issuer")],
        stores=[_used(ref, read.used.get(ref), count) for ref, count in used if ref[0].endswith("Store")],
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
    fresh = next((lease for lease in read.leases if lease.is_held(now, _DOUBT)), None)
    lease = fresh or next(iter(read.leases), None)
    if lease is None:
        return OperatorReport(state="Unknown")
    return OperatorReport(
        state="Working" if fresh else "Silent",
        holder=lease.holder or None,
        lease=lease.place,
        renewed_at=lease.at,
    )


def _problems(read: Read, operator: OperatorReport, now: datetime) -> list[Problem]:
    """Each once, with all that it holds up."""
    troubles = [(seen, trouble) for seen in read.api_keys if (trouble := trouble_of(seen, now)) is not None]
    found: list[Problem] = []
    unanswered = [(seen, trouble) for seen, trouble in troubles if trouble.reason is Reason.NOT_OBSERVED]
    if unanswered or operator.state == "Silent":
        found.append(_idle(operator, unanswered, now))
    explained: set[str] = {seen.uid for seen, _ in unanswered}
    for ref in sorted({ref for seen in read.api_keys for ref in seen.uses if ref in read.used}, key=str):
        trouble = trouble_of_used(read.used[ref])
        if trouble is None:
            continue
        held = [s for s, own in troubles if ref in s.uses and own.reason is trouble.reason and s.uid not in explained]
        explained |= {seen.uid for seen in held}
        found.append(_of_used(ref, read.used[ref], trouble, held))
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
    found += [_strays(ref, obj) for ref, obj in read.used.items() if counted_in(obj, "strays")]
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


def _of_used(ref: Ref, obj: Mapping[str, Any], trouble: Trouble, held: list[Seen]) -> Problem:
    return _problem(trouble, held, ref).model_copy(update={"remedy": remedy_of_used(obj, trouble.reason)})


def _strays(ref: Ref, obj: Mapping[str, Any]) -> Problem:
    count = counted_in(obj, "strays") or 0
    keys = "1 live key that no ApiKey names" if count == 1 else f"{count} live keys that no ApiKey names"
    return _problem(Trouble("Notice", Reason.STRAY_KEY, f"{called(ref[0], ref[2])} lists {keys}."), [], ref)


def _used(ref: Ref, obj: Mapping[str, Any] | None, count: int) -> UsedReport:
    condition = ready_of(obj)
    return UsedReport(
        kind=ref[0],
        namespace=ref[1],
        name=ref[2],
        ready=condition.status == "True" if condition else None,
        reason=condition.reason if condition else None,
        message=condition.message if condition else None,
        api_keys=count,
        keys=counted_in(obj, "keys"),
        strays=counted_in(obj, "strays"),
    )


def _due(key: KeyReport) -> tuple[datetime, str, str]:
    """What is due next comes first."""
    at = key.next.at if key.next and key.next.at else key.renewal_time or key.expires_at
    return (at or _FOREVER, key.namespace, key.name)
