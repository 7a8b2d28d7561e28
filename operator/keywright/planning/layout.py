"""How a target is to look, as one text and its digest: what is compared to tell a drift of layout from none. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from keywright.planning.observed import Absent, Foreign
from keywright.planning.places import in_vault

if TYPE_CHECKING:
    from keywright.keys import ResourceKey
    from keywright.planning.observed import TargetLayout, TargetState

__all__ = ["Owner", "beside", "is_bound", "layout_digest_of", "layout_text"]

_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Owner:
    """The ApiKey that a target belongs to. `bound`: it goes with its ApiKey (deletionPolicy Revoke), unless it was adopted."""

    key: ResourceKey
    uid: str
    cluster: str
    bound: bool


def layout_text(layout: TargetLayout, owner: Owner) -> str:
    """Canonical JSON of all that is laid out, the plaintext apart; kept beside the target (a Secret's annotation keywright.dev/layout)."""
    if in_vault(layout.name):
        fields = {"key": layout.key, "template": dict(layout.template) if layout.template else None}
        return _CANONICAL.encode({**fields, "merge": layout.merge, "uid": owner.uid})
    said: dict[str, object] = {
        "key": layout.key,
        "template": dict(layout.template) if layout.template else None,
        "labels": dict(layout.labels),
        "annotations": dict(layout.annotations),
        "type": layout.type,
        "uid": owner.uid,
        "bound": is_bound(layout, owner),
    }
    if layout.adopted:
        said["adopted"] = True
    return _CANONICAL.encode(said)


def is_bound(layout: TargetLayout, owner: Owner) -> bool:
    """Whether the garbage collector takes the target with its ApiKey: never one that holds what others put there."""
    return owner.bound and not layout.adopted


def layout_digest_of(layout: TargetLayout, owner: Owner) -> str:
    """The digest that a target has which looks exactly so."""
    return hashlib.sha256(layout_text(layout, owner).encode()).hexdigest()


def beside(state: TargetState, layout: TargetLayout) -> TargetState:
    """What somebody else keeps at a place is no obstacle to a layout that merges with it: nothing of ours is there yet."""
    theirs = isinstance(state, Foreign) and state.mergeable and state.digest is None
    return Absent() if theirs and layout.merge else state
