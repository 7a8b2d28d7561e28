"""What is wrong with ApiKeys themselves: what their status says, schedules that never fire, deletions that hang. Pure."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from keywright.api.apikey import Rotation, called
from keywright.api.reading import read_spec, read_status
from keywright.api.reasons import Reason
from keywright.errors import Rejected
from keywright.planning import schedule
from keywright.planning.diagnosis.finding import Check, Finding, State, ago, counted, halves, note, ok, wrong
from keywright.planning.diagnosis.reaching import refs_named
from keywright.planning.diagnosis.running import moment

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from keywright.api.apikey_status import ApiKeyStatus
    from keywright.planning.diagnosis.reaching import Ref

__all__ = ["OUR_FINALIZER", "hanging", "of_api_keys", "of_deletions"]

OUR_FINALIZER: Final = "keywright.dev/revoke"
_LETS_GO: Final = timedelta(seconds=30)
"""A revocation takes seconds."""
_SOMEBODY_ELSES: Final = ("Issuer", "AdminKey", "Store", "Keys", "Renewal", "Revocation")
"""Beginnings of reasons that an issuer or a store is the cause of, where that is known to be broken."""


def of_api_keys(api_keys: Sequence[Mapping[str, Any]], broken: Collection[Ref], now: datetime) -> list[Finding]:
    """`broken`: issuers and stores whose trouble is told already, with who waits for them."""
    if not api_keys:
        return [ok(Check.APIKEYS, "there are no ApiKeys yet")]
    said: dict[tuple[str, str], list[str]] = {}
    ready = suspended = leaving = 0
    for seen in api_keys:
        meta = seen["metadata"]
        if "deletionTimestamp" in meta:
            leaving += 1
            continue
        trouble, is_ready = _trouble(seen, broken, now)
        if trouble:
            said.setdefault(trouble, []).append(f"{meta['namespace']}/{meta['name']}")
        ready += is_ready
        suspended += bool((seen.get("spec") or {}).get("suspend"))
    found = []
    for (reason, message), names in said.items():
        what, remedy = halves(message)
        namespace, _, name = min(names).partition("/")
        remedy = remedy or f"keywright why {name} -n {namespace} says more"
        text = f"{counted(names, 'ApiKey')}: {what}"
        found.append(Finding(Check.APIKEYS, State.WRONG, text, remedy, reason, tuple(sorted(names))))
    counts = [f"{ready} of {len(api_keys)} ApiKeys are Ready"]
    counts += [f"{suspended} suspended"] if suspended else []
    counts += [f"{leaving} being deleted"] if leaving else []
    said_all = ", ".join(counts)
    well = ready + suspended + leaving >= len(api_keys)
    return [
        *found,
        ok(Check.APIKEYS, said_all) if well else note(Check.APIKEYS, said_all, "keywright status shows them"),
    ]


def _trouble(seen: Mapping[str, Any], broken: Collection[Ref], now: datetime) -> tuple[tuple[str, str] | None, bool]:
    """What is wrong, as its reason and a sentence that says what to do, if anything is; and whether it is Ready."""
    try:
        spec, status = read_spec(seen), read_status(seen)
    except Rejected as error:
        return (error.reason, str(error)), False
    conditions = {c.type: c for c in status.conditions}
    ready = conditions.get("Ready")
    is_ready = ready is not None and ready.status == "True"
    problem = _never_fires(spec.rotation, now)
    if problem is not None:
        return (Reason.SCHEDULE_TOO_DENSE if problem.dense else Reason.INVALID_SPEC, problem.text), is_ready
    stalled = conditions.get("Stalled")
    at_fault = stalled if stalled is not None and stalled.status == "True" else None
    retrying = status.next is not None and status.next.action == "Retry"
    if (
        at_fault is None
        and ready is not None
        and (ready.reason == Reason.RENEWAL_FAILING or (retrying and not is_ready))
    ):
        at_fault = ready
    if at_fault is None or (at_fault.reason.startswith(_SOMEBODY_ELSES) and refs_named(seen) & set(broken)):
        return None, is_ready
    return (at_fault.reason, at_fault.message), is_ready


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


def hanging(api_keys: Sequence[Mapping[str, Any]], now: datetime) -> list[Mapping[str, Any]]:
    """ApiKeys that keywright's finalizer holds in deletion: for longer than a revocation takes, or after one has failed."""
    return [seen for seen in api_keys if _hangs(seen, now)]


def _hangs(seen: Mapping[str, Any], now: datetime) -> bool:
    meta = seen["metadata"]
    at = moment(meta.get("deletionTimestamp"))
    if at is None or OUR_FINALIZER not in (meta.get("finalizers") or ()):
        return False
    reasons = {c.get("reason") for c in (seen.get("status") or {}).get("conditions") or ()}
    return now - at > _LETS_GO or bool(reasons & {Reason.REVOCATION_FAILED, Reason.ISSUER_CREDENTIALS_GONE})


def of_deletions(
    held: Sequence[Mapping[str, Any]], ending: Collection[str], *, served: bool, now: datetime
) -> list[Finding]:
    """`held`: as `hanging` finds them; `ending`: namespaces that are being deleted; `served`: whether an operator works."""
    if not served:
        return _unserved(held, ending, now) if held else []
    found = [_held(seen, now) for seen in held]
    for namespace in sorted({seen["metadata"]["namespace"] for seen in held} & set(ending)):
        names = counted(
            (seen["metadata"]["name"] for seen in held if seen["metadata"]["namespace"] == namespace), "ApiKey"
        )
        found.append(
            wrong(
                Check.DELETION,
                f"namespace {namespace} stays Terminating: {names} in it {'waits' if ' (' not in names else 'wait'} for a revocation",
                "mend what is said above; annotating works there still, creating does not",
            )
        )
    return found


def _unserved(held: Sequence[Mapping[str, Any]], ending: Collection[str], now: datetime) -> list[Finding]:
    names = counted((f"{seen['metadata']['namespace']}/{seen['metadata']['name']}" for seen in held), "ApiKey")
    oldest = min(at for seen in held if (at := moment(seen["metadata"]["deletionTimestamp"])))
    stuck = sorted({seen["metadata"]["namespace"] for seen in held} & set(ending))
    spaces = f"; namespace {', '.join(stuck)} stays Terminating by it" if stuck else ""
    keys = ", ".join(key for seen in held[:3] for key in _keys(seen)) or "none"
    return [
        wrong(
            Check.DELETION,
            f"{names} {'hang' if len(held) > 1 else 'hangs'} in deletion, for {ago(oldest, now)}, and no operator is there to revoke "
            f"the keys{spaces}",
            "start the operator, also where keywright is to be uninstalled. keywright.dev/abandon needs one, too. Whoever takes the "
            f"finalizer {OUR_FINALIZER} off by hand leaves the keys alive: revoke them at the platform first (ids: {keys})",
        )
    ]


def _held(seen: Mapping[str, Any], now: datetime) -> Finding:
    meta = seen["metadata"]
    name, since = f"{meta['namespace']}/{meta['name']}", moment(meta["deletionTimestamp"])
    for_long = f"for {ago(since, now)}" if since else ""
    try:
        status = read_status(seen)
    except Rejected as error:
        return wrong(Check.DELETION, f"ApiKey {name} hangs in deletion {for_long}: {error}", "mend its status by hand")
    why = status.next.reason if status.next else ""
    reason = next((c.reason for c in status.conditions if c.type != "Ready" and c.status == "True"), "")
    if reason == Reason.WAITING_FOR_LATE_KEYS:
        return note(Check.DELETION, f"ApiKey {name} is being deleted, {for_long}: {why.removesuffix('.')}", "wait")
    what, _ = halves(why)
    keys = ", ".join(_keys(seen)) or "none is recorded"
    return wrong(
        Check.DELETION,
        f"ApiKey {name} hangs in deletion {for_long}: {what or 'its keys are not revoked yet'}",
        f"mend {_issuer(status)}, and it goes by itself. Else revoke its keys at the platform ({keys}), then kubectl -n "
        f"{meta['namespace']} annotate ak {meta['name']} keywright.dev/abandon=true lets go of it: a key not revoked by then lives on",
    )


def _issuer(status: ApiKeyStatus) -> str:
    return called(status.issuer.kind, status.issuer.name) if status.issuer else "its issuer"


def _keys(seen: Mapping[str, Any]) -> list[str]:
    status = seen.get("status") or {}
    return [key for key in (status.get("keyId"), *(p["keyId"] for p in status.get("previous") or ())) if key]
