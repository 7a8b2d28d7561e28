"""The end of an ApiKey that a person asks for: what would happen, who might undo it, and how far it is. Pure.

Reads what the public interface promises, and little of the spec: one that cannot be understood any more can be ended all the same.
Neighbours: removal.py decides what is revoked; reconcile/revoke.py asks, and looks until it is gone.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from keywright.planning.places import named
from keywright.planning.standing import sentence
from keywright.planning.trigger import Answer, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keywright.api.apikey_status import ApiKeyStatus
    from keywright.planning.observed import Subject

__all__ = ["Doomed", "answer", "prospect", "warnings"]

_LOOKED: Final = timedelta(seconds=5)
"""After so long an operator that runs has looked: what holds the deletion then holds it still."""
_SILENT: Final = timedelta(seconds=15)
"""After so long without any change there may be no operator."""
_FLUX: Final = {"kustomize.toolkit.fluxcd.io": "Kustomization", "helm.toolkit.fluxcd.io": "HelmRelease"}


class Doomed(NamedTuple):
    """An ApiKey as the apiserver has it."""

    subject: Subject
    metadata: Mapping[str, Any]
    retained: bool
    """Whether its deletionPolicy is Retain."""
    place: str | None
    status: ApiKeyStatus

    @property
    def keys(self) -> int:
        """How many live keys are written down."""
        return len(self.status.previous) + (self.status.key_id is not None)


def prospect(doomed: Doomed) -> str:
    """What comes of it, in a sentence."""
    status = doomed.status
    older = len(status.previous)
    if not doomed.keys:
        what = "No key has been delivered"
    else:
        first = f"Its key {status.masked_key or status.key_id}" if status.key_id else ""
        more = f"{older} older {'key' if older == 1 else 'keys'}" if older else ""
        subject = " and ".join(part for part in (first, more) if part)
        what = f"{subject} {'is' if doomed.keys == 1 else 'are'} revoked"
    if status.attempt is not None:
        what += ", and so is one that is being issued"
    there = named(status.target.name if status.target else doomed.place)
    adopted = status.target is not None and status.target.adopted
    fate = f"what keywright wrote into {there}, which was adopted, is taken out" if adopted else f"{there} is removed"
    overruled = " (deletionPolicy: Retain is overruled)" if doomed.retained else ""
    begun = ": its deletion has begun already" if doomed.subject.deleting else ""
    return f"{what}{overruled}, {fate}, and the ApiKey goes{begun}."


def warnings(doomed: Doomed) -> list[str]:
    """Who would create it again, and what to do first."""
    labels, annotations = doomed.metadata.get("labels") or {}, doomed.metadata.get("annotations") or {}
    found = []
    tracked = annotations.get("argocd.argoproj.io/tracking-id")
    argo = labels.get("argocd.argoproj.io/instance") or annotations.get("argocd.argoproj.io/instance")
    if argo or tracked:
        name = argo or str(tracked).partition(":")[0]
        found.append(f"Argo CD (application {name}) creates it again, with a new key: take it out of Git first.")
    for group, kind in _FLUX.items():
        if name := labels.get(f"{group}/name"):
            where = f"{labels[f'{group}/namespace']}/" if f"{group}/namespace" in labels else ""
            found.append(f"Flux ({kind} {where}{name}) creates it again, with a new key: take it out of Git first.")
    found += [
        f"{owner['kind']} {owner['name']} owns it and may create it again, with a new key: end that first."
        for owner in doomed.metadata.get("ownerReferences") or ()
        if owner.get("controller")
    ]
    return found


def answer(before: Doomed, seen: Doomed | None, last: Doomed, waited: timedelta) -> Answer:
    """How far it is, `waited` after the deletion was asked for. `seen` None: it is gone; `last`: as it was before that."""
    if seen is None or seen.subject.uid != before.subject.uid:
        return _gone(last, recreated=seen is not None)
    stalled = seen.status.condition("Stalled")
    if stalled is not None and stalled.status == "True" and waited >= _LOOKED:
        return Answer(
            State.FAILED, f"{sentence(stalled.message)} The deletion stands, and ends by itself once that is mended."
        )
    if seen.status == before.status and waited >= _SILENT:
        return Answer(
            State.WAITING,
            f"No operator has answered for {waited.seconds} s, and until one does the keys live: look whether it runs (keywright doctor).",
        )
    step = seen.status.next
    if step is None or step.action != "Release":
        return Answer(State.WAITING, "Its keys are being revoked.")
    at = f" Looked at again at {step.at:%Y-%m-%d %H:%M:%S} UTC." if step.at else ""
    return Answer(State.WAITING, f"{sentence(step.reason)}{at}")


def _gone(last: Doomed, *, recreated: bool) -> Answer:
    again = " Somebody created it again: the new one gets a key of its own." if recreated else ""
    ids = [key for key in (last.status.key_id, *(p.key_id for p in last.status.previous)) if key]
    named_ids = ", ".join(ids)
    if ids and not last.subject.finalizer:
        return Answer(
            State.FAILED,
            f"It is gone, and keywright's finalizer was not on it: nobody revoked {named_ids}. Look for them with keywright sweep.{again}",
        )
    if ids and last.subject.abandon:
        return Answer(
            State.FAILED,
            f"It is gone, released by keywright.dev/abandon: see in the operator's log which of {named_ids} live on.{again}",
        )
    counted = "all its keys are revoked" if len(ids) > 1 else f"its key {ids[0]} is revoked" if ids else "it had no key"
    return Answer(State.DONE, f"It is gone; {counted}.{again}")
