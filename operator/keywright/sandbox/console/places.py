"""Where a person is: in one Workspace, or in the organization's own view. Every page says which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from keywright.sandbox.store import workspaces

if TYPE_CHECKING:
    from starlette.requests import Request

    from keywright.sandbox.store import Store
    from keywright.sandbox.store.workspaces import WorkspaceRow

__all__ = ["EVERY_WORKSPACE", "ORGANIZATION", "Place", "place_of"]

EVERY_WORKSPACE: Final = 1_000_000
"""A limit for lists that name them all."""


@dataclass(frozen=True, slots=True)
class Place:
    """A context. `workspace`: None in the organization's view."""

    workspace: WorkspaceRow | None

    @property
    def path(self) -> str:
        """What its pages' addresses begin with."""
        return "/organization" if self.workspace is None else f"/workspaces/{self.workspace.id}"

    @property
    def kind(self) -> str:
        """What it is called in front of its name."""
        return "Organization" if self.workspace is None else "Workspace"

    @property
    def name(self) -> str:
        """As the header shows it."""
        return "all workspaces" if self.workspace is None else self.workspace.name

    @property
    def workspace_id(self) -> str | None:
        """What its lists are narrowed to."""
        return None if self.workspace is None else self.workspace.id

    @property
    def tabs(self) -> tuple[tuple[str, str], ...]:
        """Its pages: address and title."""
        own = ((f"{self.path}/api-keys", "API keys"), (f"{self.path}/usage", "Usage"))
        if self.workspace is not None:
            return own
        return (*own, (f"{self.path}/audit-log", "Audit log"), (f"{self.path}/policy", "Expiration policy"))


ORGANIZATION: Final = Place(None)


def place_of(request: Request, store: Store) -> Place:
    """The place that a request's address names. Raises NotFoundError for a Workspace that is not, or archived."""
    workspace = request.path_params.get("workspace")
    return ORGANIZATION if workspace is None else Place(store.read(workspaces.get, workspace))
