"""One ApiKey, issuer or store as a person sees it who has the apiserver's word alone: its state, and what is wrong with it. Pure.

Serves commands: each tells the same of the same object. Reads what the public interface promises, spec and status, and tells an
operator that does not answer from one that does. Neighbours: fleet.py puts many together; why.py tells of one in sentences;
diagnosis/ sets it beside what is seen from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from keywright.api.apikey import FINALIZER, called
from keywright.api.apikey_status import ApiKeyStatus
from keywright.api.reading import read_spec, read_status
from keywright.api.reasons import REMEDIES, Reason
from keywright.errors import Rejected
from keywright.planning.spans import exact, moment, span
from keywright.planning.used import ready_of, ref_seen, refs_named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keywright.api.apikey import ApiKeySpec
    from keywright.api.report import KeyState, Severity
    from keywright.planning.used import Ref

__all__ = [
    "WEEK",
    "Seen",
    "Trouble",
    "notices",
    "remedy_of_used",
    "sentence",
    "silence",
    "state_of",
    "trouble_of",
    "trouble_of_used",
]

WEEK: Final = timedelta(days=7)
"""What comes sooner is worth a word."""
_ANSWERED: Final = timedelta(minutes=1)
"""An operator answers an edit in a second or two; in a burst of a thousand keys in half a minute."""
_OVERDUE: Final = timedelta(minutes=5)
"""What is due is done or said to fail within seconds; a queue after a long absence takes minutes."""
_ATTEMPT: Final = timedelta(minutes=15)
"""The longest that an attempt takes without a word."""
_ENDS_BY_ITSELF: Final = frozenset({Reason.DELETING, Reason.WAITING_FOR_LATE_KEYS})
_GETS_OVER: Final = frozenset({Reason.ISSUER_UNAVAILABLE, Reason.ISSUER_RATE_LIMITED, Reason.STORE_UNAVAILABLE})
"""What an issuer or a store gets over without a person."""
_HANDLED: Final = ("keywright.dev/rotate", "keywright.dev/compromised")


@dataclass(frozen=True, slots=True)
class Seen:
    """An ApiKey, read. `uses`: the issuers and the store that it needs. `unreadable`: what is wrong with it; its spec is None then."""

    namespace: str
    name: str
    uid: str
    generation: int
    edited_at: datetime
    deleted_at: datetime | None
    finalizers: tuple[str, ...]
    asked: Mapping[str, str]
    uses: frozenset[Ref]
    spec: ApiKeySpec | None
    status: ApiKeyStatus
    unreadable: str | None

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Self:
        """From its JSON, whole or less what of managedFields is not about times."""
        metadata = obj["metadata"]
        annotations = metadata.get("annotations") or {}
        spec, status, unreadable = None, ApiKeyStatus(), None
        try:
            status = read_status(obj)
            spec = read_spec(obj)
        except Rejected as error:
            unreadable = str(error)
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            generation=metadata.get("generation", 0),
            edited_at=_edited_at(metadata),
            deleted_at=moment(metadata["deletionTimestamp"]) if "deletionTimestamp" in metadata else None,
            finalizers=tuple(metadata.get("finalizers") or ()),
            asked={name: annotations[name] for name in _HANDLED if name in annotations},
            uses=refs_named(obj),
            spec=spec,
            status=status,
            unreadable=unreadable,
        )

    @property
    def at(self) -> str:
        """As namespace/name."""
        return f"{self.namespace}/{self.name}"

    @property
    def let_go(self) -> bool:
        """Whether it is being deleted, and nothing of keywright holds it any more."""
        return self.deleted_at is not None and FINALIZER not in self.finalizers

    @property
    def ready(self) -> bool:
        """As the condition says."""
        return self.says("Ready")

    def says(self, of_type: str) -> bool:
        """Whether a condition is True."""
        condition = self.status.condition(of_type)
        return condition is not None and condition.status == "True"


class Trouble(NamedTuple):
    """What is wrong, and since when."""

    severity: Severity
    reason: Reason
    message: str
    since: datetime | None = None


def silence(seen: Seen, now: datetime) -> tuple[str, datetime] | None:
    """What nobody has answered, and since when; None: an operator has, or it is too early to tell."""
    status = seen.status
    if seen.let_go:
        return None
    if seen.deleted_at is not None:
        heard = status.observed_generation == seen.generation  # which a deletion raises, too
        return None if heard or now - seen.deleted_at < _ANSWERED else ("its deletion", seen.deleted_at)
    if status.attempt is not None:
        begun = status.attempt.started_at
        quiet = status.next is not None and status.next.action == "Issue" and status.next.at is None
        return ("an attempt that was begun", begun) if quiet and now - begun > _ATTEMPT else None
    if status.observed_generation != seen.generation:
        what = "its creation" if status.observed_generation is None else "the last edit of its spec"
        return None if now - seen.edited_at < _ANSWERED else (what, seen.edited_at)
    step = status.next
    if step is None or step.at is None or now - step.at < _OVERDUE or _unended(seen) or step.action == "None":
        return None
    return (f"what was due ({step.action})", step.at)


def state_of(seen: Seen, now: datetime) -> KeyState:
    """One word."""
    unanswered = silence(seen, now)
    if seen.unreadable is not None or (seen.says("Stalled") and unanswered is None):
        return "Stalled"
    if unanswered is not None:
        return "Unobserved"
    if seen.deleted_at is not None:
        return "Deleting"
    if _retried(seen):
        return "Retrying"
    if seen.spec is not None and seen.spec.suspend:
        return "Suspended"
    if not seen.ready or seen.says("Reconciling"):
        return "Issuing"
    return "Ready"


def trouble_of(seen: Seen, now: datetime) -> Trouble | None:
    """What is wrong with it, in the operator's own words where it has said any."""
    if seen.unreadable is not None:
        return Trouble("NeedsPerson", Reason.INVALID_SPEC, sentence(seen.unreadable))
    if seen.let_go and seen.deleted_at is not None:
        others = ", ".join(seen.finalizers)
        text = f"keywright is done with it; it goes once whoever put {others} on its metadata.finalizers is done, too."
        old = now - seen.deleted_at > _OVERDUE
        return Trouble("NeedsPerson", Reason.DELETING, text, seen.deleted_at) if others and old else None
    status, unanswered = seen.status, silence(seen, now)
    stalled, reconciling = status.condition("Stalled"), status.condition("Reconciling")
    if unanswered is not None:
        what, since = unanswered
        message = f"Nobody has answered {what} for {span(now - since)}."
        return Trouble("NeedsPerson", Reason.NOT_OBSERVED, message, since)
    if stalled is not None and stalled.status == "True":
        reason = Reason.of(stalled.reason, Reason.WAITING)
        return Trouble("NeedsPerson", reason, sentence(stalled.message), stalled.last_transition_time)
    if not _retried(seen):
        return None
    if _unended(seen) and status.next is not None:
        return Trouble("Retrying", Reason.REVOCATION_FAILED, sentence(status.next.reason), status.next.at)
    said = reconciling or status.condition("Ready")
    if said is None:
        return None
    return Trouble(
        "Retrying", Reason.of(said.reason, Reason.WAITING), sentence(said.message), said.last_transition_time
    )


def trouble_of_used(obj: Mapping[str, Any]) -> Trouble | None:
    """What an issuer or a store says is wrong with it. `obj` has its kind."""
    condition = ready_of(obj)
    if condition is None or condition.status != "False":
        return None
    kind, _, name = ref_seen(obj)
    reason = Reason.of(condition.reason, Reason.ISSUER_INVALID)
    text = (
        condition.message if called(kind, name) in condition.message else f"{called(kind, name)}: {condition.message}"
    )
    severity: Severity = "Retrying" if reason in _GETS_OVER else "NeedsPerson"
    return Trouble(severity, reason, sentence(text), condition.last_transition_time)


def remedy_of_used(obj: Mapping[str, Any], reason: Reason) -> str:
    """What to do about it, with the Secret that is to be mended, if one is."""
    ref = ((obj.get("spec") or {}).get("mistral") or {}).get("adminKeySecretRef") or {}
    if reason not in {Reason.ADMIN_KEY_MISSING, Reason.ADMIN_KEY_REFUSED} or "name" not in ref:
        return REMEDIES[reason]
    namespace = ref.get("namespace") or obj["metadata"].get("namespace")
    return f"{REMEDIES[reason]} It is Secret {namespace}/{ref['name']}, data key {ref.get('key')}."


def notices(seen: Seen, now: datetime) -> list[Trouble]:
    """What is worth knowing though nothing is wrong."""
    status, found = seen.status, []
    for key in status.previous:
        if key.used_on is not None:
            text = f"Older key {key.key_id} was used on {key.used_on}, after it was replaced; it is revoked {exact(key.revoke_at)}."
            found.append(Trouble("Notice", Reason.OLD_KEY_IN_USE, text, key.replaced_at))
    step = status.next
    if step and step.action == "Expire" and step.at and timedelta(0) < step.at - now < WEEK:
        clamped = f" {step.reason}" if step.reason.startswith("The platform") else ""
        text = f"Its key ends {exact(step.at)}, and time does not renew it.{clamped}"
        found.append(Trouble("Notice", Reason.ENDS_SOON, text))
    return found


def sentence(text: str) -> str:
    """Some of the status' messages are whole sentences, and some are an error's words."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _retried(seen: Seen) -> bool:
    """Whether something failed and is tried again."""
    step, reconciling = seen.status.next, seen.status.condition("Reconciling")
    if step is None:
        return False
    if step.action == "Release":
        return reconciling is not None and reconciling.reason not in _ENDS_BY_ITSELF
    return step.action == "Retry" or _unended(seen)


def _unended(seen: Seen) -> bool:
    """Whether a key was to be revoked, or a place to be cleaned, and could not: the operator says so in place of the plan's words."""
    step = seen.status.next
    if step is None or step.action != "Revoke":
        return False
    return not step.reason.startswith("The overlap of the older key")


def _edited_at(metadata: Mapping[str, Any]) -> datetime:
    """When anything but the status was written last, as far as managedFields tell."""
    times = [e["time"] for e in metadata.get("managedFields") or () if "time" in e and e.get("subresource") != "status"]
    return moment(max([metadata["creationTimestamp"], *times]))
