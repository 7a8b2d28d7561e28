"""Whether issuers and Vaults can be used: what a look from here says, and what their status says. Pure.

The operator's word, the status, is about its own network and credentials; a look from here is about now.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from keywright.api.apikey import called
from keywright.api.reading import issuer_wanted, issuers_recorded
from keywright.errors import Unauthorized, Unavailable
from keywright.planning.diagnosis.finding import Check, ago, counted, halves, note, ok, wrong
from keywright.planning.diagnosis.running import moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from keywright.errors import KeywrightError
    from keywright.planning.diagnosis.finding import Finding

__all__ = ["Look", "Ref", "Waiting", "of_issuer", "of_store", "ref_seen", "refs_named", "waiting_for"]

_INSECURE: Final = "--allow-insecure-issuers"
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


Ref = tuple[str, str | None, str]
"""Kind, namespace (None: a cluster kind) and name."""


def ref_seen(found: Mapping[str, Any]) -> Ref:
    """Kind, namespace and name."""
    return found["kind"], found["metadata"].get("namespace"), found["metadata"]["name"]


def refs_named(seen: Mapping[str, Any]) -> set[Ref]:
    """The issuers and the store that an ApiKey needs."""
    named = set(issuers_recorded(seen))
    if (wanted := issuer_wanted(seen)) is not None:
        named.add(wanted)
    vault = ((seen.get("spec") or {}).get("target") or {}).get("vault") or {}
    if (ref := vault.get("storeRef") or {}).get("name"):
        named.add((ref.get("kind", "VaultStore"), ref["name"]))
    namespace = seen["metadata"]["namespace"]
    return {(kind, None if kind.startswith("Cluster") else namespace, name) for kind, name in named}


def waiting_for(api_keys: Iterable[Mapping[str, Any]]) -> dict[Ref, Waiting]:
    """By issuer and by store."""
    users: dict[Ref, set[str]] = {}
    stuck: dict[Ref, set[str]] = {}
    for seen in api_keys:
        name = f"{seen['metadata']['namespace']}/{seen['metadata']['name']}"
        conditions = {c["type"]: c["status"] for c in (seen.get("status") or {}).get("conditions") or ()}
        for at in refs_named(seen):
            users.setdefault(at, set()).add(name)
            if conditions.get("Ready") != "True":
                stuck.setdefault(at, set()).add(name)
    return {ref: Waiting(frozenset(of), frozenset(stuck.get(ref, ()))) for ref, of in users.items()}


def of_issuer(found: Mapping[str, Any], look: Look, waiting: Waiting, now: datetime) -> list[Finding]:
    """`now`: the apiserver's."""
    name = _name(found)
    more = _leaving(found, waiting, now) + _strays(found)
    said = _ready(found)
    if look.error is not None and look.asked:
        what, remedy = _of_error(look.error)
        if _INSECURE in remedy:
            remedy = f"where that is on purpose, as in a trial, give keywright doctor {_INSECURE}, too"
            if said is not None and said["status"] == "True":
                text = f"{_with(what, name, Waiting())}: it is not looked at from here; its status: Ready"
                return [note(Check.ISSUERS, text, remedy), *more]
        if isinstance(look.error, Unavailable):
            what += f", seen from here{_says(said, now)}"
        return [wrong(Check.ISSUERS, _with(what, name, waiting), remedy or _describe(found)), *more]
    if said is not None and said["status"] == "False":
        what, remedy = halves(said["message"])
        here = (
            "; from here the admin key works: is the operator away, or cut off from the platform" if look.asked else ""
        )
        text = _with(f"{what}{here}" if here else what, name, waiting)
        return [wrong(Check.ISSUERS, text, remedy or _describe(found)), *more]
    if look.asked:
        return [ok(Check.ISSUERS, f"{name} takes the admin key, and has {look.workspaces} workspaces"), *more]
    if said is None:
        text = f"{name}: its status says nothing yet, and you may not read its admin key"
        return [note(Check.ISSUERS, text, "ask somebody with that right to run keywright doctor"), *more]
    return [ok(Check.ISSUERS, f"{name} works, as its status says (you may not read its admin key)"), *more]


def of_store(found: Mapping[str, Any], look: Look, waiting: Waiting, now: datetime) -> list[Finding]:
    """A Vault is often to be reached from inside the cluster only: then its status counts."""
    name, said = _name(found), _ready(found)
    if said is not None and said["status"] == "False":
        what, remedy = halves(said["message"])
        return [
            wrong(
                Check.VAULT,
                _with(what, name, waiting),
                remedy or "its ApiKeys go on by themselves within 20 s after that",
            )
        ]
    if look.error is None:
        logs_in = (
            ", and lets keywright in, as its status says"
            if said
            else "; whether it lets keywright in, nobody has tried yet"
        )
        return [ok(Check.VAULT, f"{name} answers and is unsealed{logs_in}")]
    what, remedy = _of_error(look.error)
    if said is not None and not what.endswith("unseal it"):
        return [
            note(Check.VAULT, f"{what}, seen from here{_says(said, now)}", "nothing, if only the cluster reaches it")
        ]
    return [
        wrong(
            Check.VAULT, _with(what, name, waiting), remedy or "its ApiKeys go on by themselves within 20 s after that"
        )
    ]


def _of_error(error: KeywrightError) -> tuple[str, str]:
    what, remedy = halves(str(error))
    if isinstance(error, Unauthorized) and not remedy:
        remedy = "put a valid Admin API key into the Secret that spec.mistral.adminKeySecretRef names"
    if isinstance(error, Unavailable) and "check spec" not in remedy and "CA in spec" not in remedy:
        remedy = "wait until it answers, or look at the platform's status page; nothing is lost meanwhile"
    return what, remedy


def _says(said: Mapping[str, Any] | None, now: datetime) -> str:
    if said is None:
        return ""
    at = moment(said.get("lastTransitionTime"))
    since = f", for {ago(at, now)}" if at else ""
    return f" (its status: {'Ready' if said['status'] == 'True' else 'not Ready'}{since})"


def _ready(found: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What the status says of this very generation."""
    status = found.get("status") or {}
    if status.get("observedGeneration") != found["metadata"].get("generation"):
        return None
    return next((c for c in status.get("conditions") or () if c["type"] == "Ready"), None)


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
    strays = (found.get("status") or {}).get("strays") or 0
    if not strays:
        return []
    kind, namespace, name = ref_seen(found)
    command = f"keywright sweep{f' -n {namespace}' if namespace else ''} --issuer {called(kind, name)}"
    keys = "1 live key" if strays == 1 else f"{strays} live keys"
    return [note(Check.ISSUERS, f"{_name(found)} has {keys} that nobody names", f"{command} shows them")]


def _leaving(found: Mapping[str, Any], waiting: Waiting, now: datetime) -> list[Finding]:
    at = moment(found["metadata"].get("deletionTimestamp"))
    if at is None or now - at < _LETS_GO:
        return []
    who = counted(waiting.users, "ApiKey") if waiting.users else "keywright's finalizer"
    text = f"{_name(found)} has been hanging in deletion for {ago(at, now)}: {who} still {'use' if len(waiting.users) > 1 else 'uses'} it"
    remedy = (
        "delete these ApiKeys, or point them at another issuer" if waiting.users else "see whether an operator works"
    )
    return [wrong(Check.DELETION, text, remedy)]


def _name(found: Mapping[str, Any]) -> str:
    kind, namespace, name = ref_seen(found)
    return called(kind, name) + (f" in {namespace}" if namespace else "")


def _describe(found: Mapping[str, Any]) -> str:
    kind, namespace, name = ref_seen(found)
    return f"kubectl{f' -n {namespace}' if namespace else ''} describe {kind.lower()} {name}"
