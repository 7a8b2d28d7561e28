"""Restarting the workloads of rotation.restart, each once for each key, and seeing their rollouts through. Pure.

Nothing of it is a failure of the ApiKey: what cannot be restarted is told once, with the remedy, and not waited for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from keywright.api.apikey import called
from keywright.api.reasons import Reason
from keywright.planning import rollouts, transitions
from keywright.planning.observed import Fact, RolledOut, Rolling, Unrolled
from keywright.planning.steps import Decision, Look, Note, RestartWorkload, WriteStatus

if TYPE_CHECKING:
    from keywright.api.apikey_status import PendingRollout, RolloutStatus
    from keywright.planning.situation import Situation

__all__ = ["restart"]


def restart(s: Situation) -> Decision | None:
    """Restart what is to be, look at what an older key waits for, write down what became of it."""
    rollout, key_id = s.status.rollout, s.status.key_id
    if rollout is None or key_id is None or not rollouts.active(s):
        return None
    for entry in rollouts.pending(s):
        workload = entry.workload
        if (key_id, workload) in s.observed.rollouts:
            continue
        if entry.restarted_at is None:
            annotation = rollouts.annotation_of(s.observed.subject.key.name)
            text = f"Restarting {called(entry.kind, entry.name)} for the key {s.status.masked_key}."
            return Decision(RestartWorkload(workload, annotation, key_id), Reason.RESTARTED, text)
        if rollouts.waited_for(s):
            text = f"Looking how far the rollout of {called(entry.kind, entry.name)} is."
            return Decision(Look(Fact.ROLLOUT, workload=workload), Reason.RESTARTED, text)
    return _written_down(s, rollout)


def _written_down(s: Situation, rollout: RolloutStatus) -> Decision | None:
    """One status write for all workloads, where anything is other than it says."""
    left: list[PendingRollout] = []
    restarted: list[PendingRollout] = []
    notes: list[Note] = []
    for entry in rollouts.pending(s):
        state = s.observed.rollouts.get((s.status.key_id or "", entry.workload))
        if entry.restarted_at is None and isinstance(state, RolledOut | Rolling):
            restarted.append(entry)
        if (after := _after(s, rollout, entry, state)) is not None:
            left.append(after)
        elif isinstance(state, Unrolled) and (text := _not_restarted(s, entry, state)):
            notes.append(Note("Warning", Reason.RESTART_FAILED, text))
    if left == rollout.pending:
        return None
    if restarted:
        text = f"Restarted {rollouts.listed(restarted)} for the key {s.status.masked_key}, revision {rollout.revision}."
        notes.insert(0, Note("Normal", Reason.RESTARTED, text))
    status = transitions.rolled(s, left)
    text = notes[0].message if notes else "The rollouts of rotation.restart are further on."
    return Decision(WriteStatus(status, "report"), Reason.RESTARTED, text, tuple(notes))


def _after(
    s: Situation, rollout: RolloutStatus, entry: PendingRollout, state: RolledOut | Rolling | Unrolled | None
) -> PendingRollout | None:
    """What is left to be done about a workload; None: nothing."""
    match state:
        case RolledOut() | None:
            return None
        case Rolling(trouble=trouble):
            if not rollouts.waited_for(s):
                return None
            return entry.model_copy(update={"restarted_at": entry.restarted_at or s.now, "trouble": trouble})
        case Unrolled(why="unanswered", detail=detail):
            if s.now >= rollout.since + rollouts.LONGEST_WAIT:
                return None
            return entry.model_copy(update={"trouble": f"does not answer yet: {detail}"})
        case Unrolled():
            return None
        case _:
            assert_never(state)


def _not_restarted(s: Situation, entry: PendingRollout, state: Unrolled) -> str | None:
    """What is wrong and what to do, for an event; None where a restarted workload is gone since, which is nobody's trouble."""
    name, namespace = called(entry.kind, entry.name), s.observed.subject.key.namespace
    if entry.restarted_at is not None:
        if state.why == "missing":
            return None
        return (
            f"{name} was restarted, and how far its rollout is cannot be seen: {state.detail}. The older key does not wait for it. "
            f"manifests/restart has the Role that gives the right: bind it in the namespace {namespace}."
        )
    tool = "kubectl argo rollouts restart" if entry.kind == "Rollout" else "kubectl rollout restart"
    what = entry.name if entry.kind == "Rollout" else name
    by_hand = f" For the key that was just delivered, restart it by hand: {tool} -n {namespace} {what}."
    match state.why:
        case "missing":
            return (
                f"There is no {name}, which spec.rotation.restart names: correct the name or remove it. A workload that is created "
                "later starts with the new key."
            )
        case "forbidden":
            return (
                f"{name} was not restarted: {state.detail}. manifests/restart has the Role that gives the right: bind it in the "
                f"namespace {namespace}.{by_hand}"
            )
        case "not installed":
            return (
                f"{name} was not restarted: this cluster does not serve its kind. Install Argo Rollouts, or remove it from "
                "spec.rotation.restart."
            )
        case "elsewhere":
            return (
                f"{name} was not restarted: {state.detail}. Write that one into spec.rotation.restart instead.{by_hand}"
            )
        case "refused":
            return f"{name} was not restarted: {state.detail}.{by_hand}"
        case "unanswered":
            hours = rollouts.LONGEST_WAIT.total_seconds() / 3600
            return f"{name} was not restarted: for {hours:g} hours it did not answer, at last: {state.detail}.{by_hand}"
        case _:
            assert_never(state.why)
