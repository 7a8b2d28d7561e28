"""What the directory knows of one issuer object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keywright.api.keyissuer import KeyIssuerSpec
    from keywright.errors import KeywrightError
    from keywright.keys import Workspace
    from keywright.ports.issuer import Issuer
    from keywright.reconcile.credentials import Credentials

__all__ = ["Entry", "makes_client"]


@dataclass(slots=True)
class Entry:
    """What is known of one issuer object."""

    uid: str
    generation: int
    spec: KeyIssuerSpec
    client: Issuer | None = None
    made_for: object = None
    """What of the spec the client was made for, see makes_client: address and admin key stay together as they were read."""
    credentials: Credentials | None = None
    credentials_at: float = float("-inf")
    failure: KeywrightError | None = None
    failed_at: float = float("-inf")
    unanswered: KeywrightError | None = None
    """What the last look ended with, where it failed."""
    workspaces: Sequence[Workspace] = ()
    workspaces_at: float = float("-inf")
    user_id: str | None = None
    user_at: float = float("-inf")

    def edited(self, generation: int, spec: KeyIssuerSpec) -> None:
        """The same issuer is asked to be otherwise; its deletion is an edit too, and changes nothing of the client."""
        if makes_client(spec) != makes_client(self.spec):
            self.credentials_at = float("-inf")
        self.generation, self.spec, self.failure, self.unanswered = generation, spec, None, None


def makes_client(spec: KeyIssuerSpec) -> object:
    """All of a spec that a client is made of."""
    return spec.mistral, spec.requests
