"""The platform that makes keys.

An implementation never repeats a request by itself, answers within its deadline, and converts every failure into one of
keywright.errors: for a read, Unavailable, RateLimited, Unauthorized, Rejected; for `create`, what each means for the
attempt is said there. An error's sentence names the issuer; none carries a response's body.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from keywright.keys import ListedKey, Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from keywright.api.keyissuer import KeyIssuerSpec
    from keywright.errors import Retryable
    from keywright.keys import KeyId, SecretValue

__all__ = ["AHEAD", "IssuedKey", "Issuer", "IssuerFactory", "KeyRequest", "ListedKey", "Pace", "Usage", "Workspace"]


AHEAD: Final = float("-inf")
"""The urgency of what waits for no other request: the key that is to be replaced is in somebody else's hands."""


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """One key to create; `name` is the label with its tag, `expiration` the last day it works (UTC).

    `urgency`: of those that wait for the issuer's request budget, the lowest is asked for first; AHEAD of all other requests.
    """

    name: str
    workspace_id: str
    user_id: str
    expiration: date | None
    urgency: float = 0.0


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """The answer to a create: the only time the plaintext is seen. `expires_on` may differ from what was asked."""

    key_id: KeyId
    plaintext: SecretValue
    masked: str
    expires_on: date | None
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of one thing a workspace has used: `category` and `measure` are the platform's words, as completion and tokens."""

    workspace_id: str
    category: str
    measure: str
    amount: float


class Pace(Protocol):
    """How a long list is read: the caller's own word between its pages."""

    async def __call__(self, read: int, failed: Retryable | None) -> None:
        """Awaited before each further page that can wait, with the number of keys read so far, and after one that failed.

        A page that failed is asked for again once this returns; what this raises ends the listing.
        """
        ...


class Issuer(Protocol):
    """One issuer, with one pooled client, one admin key and one request budget."""

    async def create(self, request: KeyRequest) -> IssuedKey:
        """Create one key; call it once per attempt.

        Raises Rejected (4xx), Unauthorized (401, 403), RateLimited (429), Unavailable (the request surely never left: refused
        connection, name not resolved, TLS failed): no key was made. Raises Ambiguous for everything else (time-out, cut
        connection, 5xx, a body that cannot be understood): a key may have been made, now or a little later.
        """
        ...

    async def revoke(self, key_id: KeyId, workspace_id: str | None = None, *, ahead: bool = False) -> None:
        """Delete a key; one that is not there counts as deleted. May be repeated.

        `workspace_id`: of the key, where it is known: a platform that has neither, archived or not, is another organization's, and
        Rejected(WorkspaceNotFound) is raised. `ahead`: it waits for no other request, since somebody else has the key.
        """
        ...

    async def list_keys(self, name: str | None = None, *, pace: Pace | None = None) -> Sequence[ListedKey]:
        """All live keys whose name loosely matches, all pages, each key once; without a `pace` as fast as the budget allows.

        Complete or an error, however long it takes: pages that shift while they are read are read with an overlap. A key may be
        missing only if it was deleted, or created, after the call began.
        """
        ...

    async def workspaces(self) -> Sequence[Workspace]:
        """All workspaces that are not archived, all pages."""
        ...

    async def archived_workspaces(self) -> Sequence[Workspace]:
        """Those that are archived: no key can be made in them."""
        ...

    async def user_id(self, user: str) -> str:
        """The uuid of a member, given by uuid or e-mail address. Raises Rejected(UserNotFound)."""
        ...

    async def check(self, plaintext: SecretValue) -> bool:
        """True where the platform accepts this ordinary key, False where it refuses it (401)."""
        ...

    async def usage(self) -> Sequence[Usage]:
        """What the workspaces have used this month (UTC), all models together; each combination once."""
        ...

    def quiet(self) -> None:
        """Asks nothing. Raises RateLimited while the platform wants to be left alone, NotLeading while nothing may be changed."""
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...


class IssuerFactory(Protocol):
    """Makes an Issuer from an issuer object's spec; the admin key and CA bundle have been read already."""

    def __call__(self, name: str, spec: KeyIssuerSpec, admin_key: SecretValue, ca_bundle: SecretValue | None) -> Issuer:
        """`name`: how its errors call it (keyissuer/NAME), since they are read far from it.

        Raises Rejected(IssuerInvalid) for a URL that is not allowed or a CA bundle that is none.
        """
        ...
