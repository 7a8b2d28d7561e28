"""Whether issuers and Vaults can be used: what a look from here says, and what their status says. Pure.

The operator's word, the status, is about its own network and credentials; a look from here is about now.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from keywright.api.apikey import called
from keywright.api.reasons import REMEDIES, Reason
from keywright.errors import Terminal, Unavailable
from keywright.planning.diagnosis.finding import Check, clause, counted, halves, note, ok, wrong
from keywright.planning.spans import moment, span
from keywright.planning.standing import remedy_of_used, trouble_of_used
from keywright.planning.used import called_in, counted_in, ready_of, ref_seen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from keywright.api.base import Condition
    from keywright.errors import KeywrightError
    from keywright.planning.diagnosis.finding import Finding
    from keywright.planning.standing import Seen
    from keywright.planning.used import Ref

__all__ = ["Look", "Waiting", "of_issuer", "of_store", "waiting_for"]

_INSECURE: Final = "--allow-insecure-issuers"
_GO_ON: Final = "its ApiKeys go on by themselves within 20 s after that"
_LETS_GO: Final = timedelta(minutes=1)
"""After so long a deletion that waits for nothing is over."""


class Look(NamedTuple):
    """What a look from here found. `error` None: it works. `asked` False: the caller may not read what it takes."""

    error: KeywrightError | None = None
    asked: bool = True
    workspaces: int | None = None


class Waiting(NamedTuple):
    """ApiKeys that name an issuer or a store, and those of them that are not Ready."""

    users: frozenset[str] = frozenset()
    stuck: frozenset[str] = frozenset()


def waiting_for(api_keys: Iterable[Seen]) -> dict[Ref, Waiting]:
    """By issuer and by store."""
    users: dict[Ref, set[str]] = {}
    stuck: dict[Ref, set[str]] = {}
    for seen in api_keys:
        for ref in seen.uses:
            users.setdefault(ref, set()).add(seen.at)
            if not seen.ready:
                stuck.setdefault(ref, set()).add(seen.at)
    return {ref: Waiting(frozenset(of), frozenset(stuck.get(ref, ()))) for ref, of in users.items()}


def of_issuer(found: Mapping[str, Any], look: Look, waiting: Waiting, now: datetime) -> list[Finding]:
    """`now`: the apiserver's."""
    name = called_in(ref_seen(found))
    more = _leaving(found, waiting, now) + _strays(found)
    said, trouble = ready_of(found), trouble_of_used(found)
    if look.error is not None and look.asked:
        what, remedy = _of_error(look.error, found, Reason.ISSUER_UNAVAILABLE)
        if _INSECURE in remedy:
            remedy = f"where that is on purpose, as in a trial, give keywright doctor {_INSECURE}, too"
            if said is not None and said.status == "True":
                text = f"{_with(what, name, Waiting())}: it is not looked at from here; its status: Ready"
                return [note(Check.ISSUERS, text, remedy), *more]
        if isinstance(look.error, Unavailable):
            what += f", seen from here{_says(said, now)}"
        return [wrong(Check.ISSUERS, _with(what, name, waiting), remedy), *more]
    if trouble is not None:
        what, remedy = halves(trouble.message)
        here = (
            "; from here the admin key works: is the operator away, or cut off from the platform" if look.asked else ""
        )
        text = _with(f"{what}{here}" if here else what, name, waiting)
        return [wrong(Check.ISSUERS, text, remedy or clause(remedy_of_used(found, trouble.reason))), *more]
    if look.asked:
        return [ok(Check.ISSUERS, f"{name} takes the admin key, and has {look.workspaces} workspaces"), *more]
    if said is None:
        text = f"{name}: its status says nothing yet, and you may not read its admin key"
        return [note(Check.ISSUERS, text, "ask somebody with that right to run keywright doctor"), *more]
    return [ok(Check.ISSUERS, f"{name} works, as its status says (you may not read its admin key)"), *more]


def of_store(found: Mapping[str, Any], look: Look, waiting: Waiting, now: datetime) -> list[Finding]:
    """A Vault is often to be reached from inside the cluster only: then its status counts."""
    name, said, trouble = called_in(ref_seen(found)), ready_of(found), trouble_of_used(found)
    if trouble is not None:
        what, remedy = halves(trouble.message)
        remedy = remedy or clause(REMEDIES[trouble.reason])
        return [wrong(Check.VAULT, _with(what, name, waiting), f"{remedy}; {_GO_ON}")]
    if look.error is None:
        logs_in = (
            ", and lets keywright in, as its status says"
            if said
            else "; whether it lets keywright in, nobody has tried yet"
        )
        return [ok(Check.VAULT, f"{name} answers and is unsealed{logs_in}")]
    what, remedy = _of_error(look.error, found, Reason.STORE_UNAVAILABLE)
    if said is not None and not what.endswith("unseal it"):
        return [
            note(Check.VAULT, f"{what}, seen from here{_says(said, now)}", "nothing, if only the cluster reaches it")
        ]
    return [wrong(Check.VAULT, _with(what, name, waiting), f"{remedy}; {_GO_ON}")]


def _of_error(error: KeywrightError, found: Mapping[str, Any], unavailable: Reason) -> tuple[str, str]:
    """What a look from here says, and what to do about it; `unavailable`: what the status would call it where nobody answers."""
    what, remedy = halves(str(error))
    reason = Reason.of(error.reason, unavailable) if isinstance(error, Terminal) else unavailable
    return what, remedy or clause(remedy_of_used(found, reason))


def _says(said: Condition | None, now: datetime) -> str:
    if said is None:
        return ""
    return f" (its status: {'Ready' if said.status == 'True' else 'not Ready'}, for {span(now - said.last_transition_time)})"


def _with(what: str, name: str, waiting: Waiting) -> str:
    """The issuer's own errors begin with its name, as their readers are far from it; here its namespace belongs to it."""
    short = name.partition(" in ")[0]
    what = what.removeprefix(short).lstrip(":").strip()
    text = f"{name}: {what}"
    if waiting.stuck:
        one = len(waiting.stuck) == 1
        text += f"; {counted(waiting.stuck, 'ApiKey')} {'waits' if one else 'wait'} for it"
    return text


def _strays(found: Mapping[str, Any]) -> list[Finding]:
    strays = counted_in(found, "strays")
    if not strays:
        return []
    kind, namespace, name = ref_seen(found)
    command = f"keywright sweep{f' -n {namespace}' if namespace else ''} --issuer {called(kind, name)}"
    keys = "1 live key" if strays == 1 else f"{strays} live keys"
    return [note(Check.ISSUERS, f"{called_in(ref_seen(found))} has {keys} that nobody names", f"{command} shows them")]


def _leaving(found: Mapping[str, Any], waiting: Waiting, now: datetime) -> list[Finding]:
    deleted = found["metadata"].get("deletionTimestamp")
    if deleted is None or now - (at := moment(deleted)) < _LETS_GO:
        return []
    who = counted(waiting.users, "ApiKey") if waiting.users else "keywright's finalizer"
    use = "use" if len(waiting.users) > 1 else "uses"
    text = f"{called_in(ref_seen(found))} has been hanging in deletion for {span(now - at)}: {who} still {use} it"
    remedy = (
        "delete these ApiKeys, or point them at another issuer" if waiting.users else "see whether an operator works"
    )
    return [wrong(Check.DELETION, text, remedy)]
