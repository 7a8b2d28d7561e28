"""What is wrong with ApiKeys themselves: what their status says, schedules that never fire, deletions that hang. Pure."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from keywright.api.apikey import FINALIZER, Rotation, called
from keywright.api.reasons import REMEDIES, Reason
from keywright.planning import schedule
from keywright.planning.diagnosis.finding import Check, Finding, State, clause, counted, halves, note, ok, wrong
from keywright.planning.spans import span
from keywright.planning.standing import Trouble, trouble_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from keywright.planning.standing import Seen
    from keywright.planning.used import Ref

__all__ = ["hanging", "of_api_keys", "of_deletions"]

_LETS_GO: Final = timedelta(seconds=30)
"""A revocation takes seconds."""
_SOMEBODY_ELSES: Final = ("Issuer", "AdminKey", "Store", "Keys", "Revocation")
"""Beginnings of reasons that an issuer or a store is the cause of, where that is known to be broken."""


def of_api_keys(api_keys: Sequence[Seen], broken: Collection[Ref], now: datetime) -> list[Finding]:
    """`broken`: issuers and stores whose trouble is told already, with who waits for them."""
    if not api_keys:
        return [ok(Check.APIKEYS, "there are no ApiKeys yet")]
    said: dict[tuple[Reason, str], list[Seen]] = {}
    staying = [seen for seen in api_keys if seen.deleted_at is None]
    for seen in staying:
        trouble = _trouble(seen, broken, now)
        if trouble is not None:
            said.setdefault((trouble.reason, trouble.message), []).append(seen)
    found = []
    for (reason, message), those in said.items():
        what, remedy = halves(message)
        names = sorted(seen.at for seen in those)
        works = "" if any(not seen.ready for seen in those) else " (the key that is there still works)"
        text = f"{counted(names, 'ApiKey')}: {what}{works}"
        remedy = remedy or clause(REMEDIES[reason])
        found.append(Finding(Check.APIKEYS, State.WRONG, text, remedy, reason, tuple(names)))
    ready = sum(seen.ready for seen in staying)
    suspended = sum(seen.spec is not None and seen.spec.suspend for seen in staying)
    leaving = len(api_keys) - len(staying)
    counts = [f"{ready} of {len(api_keys)} ApiKeys are Ready"]
    counts += [f"{suspended} suspended"] if suspended else []
    counts += [f"{leaving} being deleted"] if leaving else []
    said_all = ", ".join(counts)
    well = ready + suspended + leaving >= len(api_keys)
    return [
        *found,
        ok(Check.APIKEYS, said_all) if well else note(Check.APIKEYS, said_all, "keywright status shows them"),
    ]


def _trouble(seen: Seen, broken: Collection[Ref], now: datetime) -> Trouble | None:
    """What is not told elsewhere; a schedule that never fires also where no operator has said so."""
    problem = _never_fires(seen.spec.rotation, now) if seen.spec else None
    if problem is not None:
        return Trouble("NeedsPerson", Reason.SCHEDULE_TOO_DENSE if problem.dense else Reason.INVALID_SPEC, problem.text)
    trouble = trouble_of(seen, now)
    if trouble is None or trouble.reason is Reason.NOT_OBSERVED:
        return None
    return None if trouble.reason.startswith(_SOMEBODY_ELSES) and not seen.uses.isdisjoint(broken) else trouble


def _never_fires(rotation: Rotation | None, now: datetime) -> schedule.Problem | None:
    """What is wrong with a schedule, whatever the operator's storm guard allows."""
    if rotation is None or rotation.schedule is None:
        return None
    return _problem(rotation.schedule, rotation.time_zone, rotation.overlap, now)


@lru_cache(maxsize=256)
def _problem(expression: str, zone: str | None, overlap: str, now: datetime) -> schedule.Problem | None:
    """Remembered: a fleet has few schedules, and walking through one takes as long as all else that is asked of an ApiKey."""
    bare = Rotation.model_validate({"schedule": expression, "timeZone": zone, "overlap": overlap})
    return schedule.schedule_problem(bare, now, 0.0)


def hanging(api_keys: Sequence[Seen], now: datetime) -> list[Seen]:
    """ApiKeys that keywright's finalizer holds in deletion: for longer than a revocation takes, or after one has failed."""
    return [seen for seen in api_keys if _hangs(seen, now)]


def _hangs(seen: Seen, now: datetime) -> bool:
    if seen.deleted_at is None or FINALIZER not in seen.finalizers:
        return False
    reasons = {condition.reason for condition in seen.status.conditions}
    return now - seen.deleted_at > _LETS_GO or bool(
        reasons & {Reason.REVOCATION_FAILED, Reason.ISSUER_CREDENTIALS_GONE}
    )


def of_deletions(held: Sequence[Seen], ending: Collection[str], *, served: bool, now: datetime) -> list[Finding]:
    """`held`: as `hanging` finds them; `ending`: namespaces that are being deleted; `served`: whether an operator works."""
    if not served:
        return _unserved(held, ending, now) if held else []
    found = [_held(seen, now) for seen in held]
    for namespace in sorted({seen.namespace for seen in held} & set(ending)):
        names = counted((seen.name for seen in held if seen.namespace == namespace), "ApiKey")
        found.append(
            wrong(
                Check.DELETION,
                f"namespace {namespace} stays Terminating: {names} in it {'waits' if ' (' not in names else 'wait'} for a revocation",
                "mend what is said above; annotating works there still, creating does not",
            )
        )
    return found


def _unserved(held: Sequence[Seen], ending: Collection[str], now: datetime) -> list[Finding]:
    names = counted((seen.at for seen in held), "ApiKey")
    oldest = min(seen.deleted_at for seen in held if seen.deleted_at)
    stuck = sorted({seen.namespace for seen in held} & set(ending))
    spaces = f"; namespace {', '.join(stuck)} stays Terminating by it" if stuck else ""
    keys = ", ".join(key for seen in held[:3] for key in _keys(seen)) or "none"
    return [
        wrong(
            Check.DELETION,
            f"{names} {'hang' if len(held) > 1 else 'hangs'} in deletion, for {span(now - oldest)}, and no operator is there to revoke "
            f"the keys{spaces}",
            "start the operator, also where keywright is to be uninstalled. keywright.dev/abandon needs one, too. Whoever takes the "
            f"finalizer {FINALIZER} off by hand leaves the keys alive: revoke them at the platform first (ids: {keys})",
        )
    ]


def _held(seen: Seen, now: datetime) -> Finding:
    name, status = seen.at, seen.status
    for_long = f"for {span(now - seen.deleted_at)}" if seen.deleted_at else ""
    if seen.unreadable is not None:
        text = f"ApiKey {name} hangs in deletion {for_long}: {seen.unreadable}"
        return wrong(Check.DELETION, text, clause(REMEDIES[Reason.INVALID_SPEC]))
    why = status.next.reason if status.next else ""
    reason = next((c.reason for c in status.conditions if c.type != "Ready" and c.status == "True"), "")
    if reason == Reason.WAITING_FOR_LATE_KEYS:
        return note(Check.DELETION, f"ApiKey {name} is being deleted, {for_long}: {why.removesuffix('.')}", "wait")
    what, _ = halves(why)
    keys = ", ".join(_keys(seen)) or "none is recorded"
    return wrong(
        Check.DELETION,
        f"ApiKey {name} hangs in deletion {for_long}: {what or 'its keys are not revoked yet'}",
        f"mend {_issuer(seen)}, and it goes by itself. Else revoke its keys at the platform ({keys}), then kubectl -n "
        f"{seen.namespace} annotate ak {seen.name} keywright.dev/abandon=true lets go of it: a key not revoked by then lives on",
    )


def _issuer(seen: Seen) -> str:
    return called(seen.status.issuer.kind, seen.status.issuer.name) if seen.status.issuer else "its issuer"


def _keys(seen: Seen) -> list[str]:
    return [key for key in (seen.status.key_id, *(older.key_id for older in seen.status.previous)) if key]
