"""Which of an issuer's workspaces an ApiKey means, and what it may be told of the others. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keywright.api.reasons import Reason
from keywright.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keywright.api.apikey import ApiKeySpec
    from keywright.api.apikey_status import ApiKeyStatus
    from keywright.keys import Workspace

__all__ = ["matching", "the_one"]

_CANDIDATES_SHOWN: Final = 10
"""Workspaces that a message lists: it is read in a terminal."""


def matching(
    workspaces: Sequence[Workspace], issuer_uid: str, spec: ApiKeySpec, status: ApiKeyStatus
) -> list[Workspace]:
    """The workspaces meant: the pinned one while spec.workspace is unchanged, else by uuid, else by exact name.

    What another issuer has pinned counts where it is listed here: of another organization it says nothing.
    """
    pinned = (
        status.workspace.id
        if status.workspace and status.issued_as and status.issued_as.workspace == spec.workspace
        else None
    )
    by_id = [w for w in workspaces if w.id.lower() == (pinned or spec.workspace).lower()]
    binding = pinned is not None and status.issuer is not None and status.issuer.uid == issuer_uid
    return by_id if by_id or binding else [w for w in workspaces if w.name == spec.workspace]


def the_one(found: Sequence[Workspace], visible: Sequence[Workspace], issuer: str, wanted: str) -> Workspace:
    """The only one of those `found`; Rejected with those that are `visible`. `issuer`: what messages call it."""
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        ids = sorted(w.id for w in found if w in visible)
        choice = f"write the uuid of one in spec.workspace: {', '.join(ids)}" if ids else "ask its owner for a uuid"
        raise Rejected(
            f"{issuer} has {len(found)} workspaces named {wanted}; {choice}", reason=Reason.WORKSPACE_AMBIGUOUS
        )
    names = sorted(w.name for w in visible)[:_CANDIDATES_SHOWN]
    choice = f"write one of: {', '.join(names)}" if names else "ask its owner which may be used"
    raise Rejected(f"{issuer} has no workspace {wanted}; {choice}", reason=Reason.WORKSPACE_NOT_FOUND)
