"""A target that somebody changed while the plaintext in it is the right one: written anew without a new key. Pure.

Where the plaintext is lost, rules.py has the key issued again; here is also what is said when that does not last.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from keywright.api.reasons import Reason
from keywright.planning import rules
from keywright.planning.observed import Fact, Present, Refusal
from keywright.planning.places import named, remedy
from keywright.planning.recovery import told
from keywright.planning.steps import Decision, Look, Note, RewriteTarget

if TYPE_CHECKING:
    from keywright.keys import KeyRecord
    from keywright.planning.observed import TargetLayout
    from keywright.planning.rules import Cause
    from keywright.planning.situation import Situation

__all__ = ["lay_out", "other_writer", "restore"]


def lay_out(s: Situation) -> Decision | None:
    """The right key, looking wrong: rewritten without a new one, and not again and again where somebody undoes it."""
    if s.layout is None or s.laid_out_at(s.place) or s.record is None or s.spec.suspend:
        return None
    if s.undone_until(s.layout.name) is not None:
        return None
    if not s.target_fresh:
        return Decision(Look(Fact.TARGET, target=s.place), Reason.TARGET_REWRITTEN, "Reading the target.")
    return _rewrite(s, s.layout, s.record, f"{named(s.layout.name)} was laid out anew with the same key.")


def restore(s: Situation) -> Decision | None:
    """The right plaintext, and what stood beside it gone or spoilt: put back without a new key, as often as a layout is mended.

    Where a key is due anyhow, its delivery needs a Secret that is ours.
    """
    if (record := s.stripped) is None or s.layout is None or s.moved or s.spec.suspend:
        return None
    why = rules.cause(s)
    if s.undone_until(s.layout.name) is not None and (why is None or rules.held_until(s, why) is not None):
        return None
    text = f"{named(s.layout.name)} still holds the key, and what somebody took off it was put back."
    return _rewrite(s, s.layout, record, text)


def _rewrite(s: Situation, layout: TargetLayout, record: KeyRecord, text: str) -> Decision:
    if isinstance(s.observed.rehearsal, Refusal):
        return told(s, replace(s.observed.rehearsal, stalled=True), s.observed.rehearsal.message)
    note = Note("Normal", Reason.TARGET_REWRITTEN, text)
    return Decision(RewriteTarget(layout, record), Reason.TARGET_REWRITTEN, text, (note,))


def other_writer(s: Situation, why: Cause) -> str | None:
    """A drift that was just repaired is there again: somebody else writes that Secret, too, and only a person can make them stop."""
    last = s.status.recent_issuances[-1].reason if s.status.recent_issuances else None
    if why.reason is not Reason.TARGET_DRIFTED or last != Reason.TARGET_DRIFTED:
        return None
    by = s.target.changed_by if isinstance(s.target, Present) else None
    who = f"the field manager {by}" if by else "somebody"
    return (
        f"{named(s.place)} was repaired, and {who} has changed it again: take it out of what {by or 'others'} writes, or write another "
        f"{remedy(s.place)}."
    )
