"""The platform in memory: keys that are shown once, a listing, and answers that get lost."""

from __future__ import annotations

import secrets
import string
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.ports.faults import Faults

from keywright.errors import Ambiguous, Rejected, Unauthorized
from keywright.keys import KeyId, ListedKey, SecretValue, Workspace
from keywright.ports.issuer import IssuedKey, KeyRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime

    from keywright.api.keyissuer import KeyIssuerSpec

__all__ = ["FakeIssuer", "FakePlatform"]


@dataclass
class Live:
    """A key at the platform."""

    listed: ListedKey
    plaintext: str = field(repr=False)


class FakePlatform:
    """The platform's side, and what a person does there."""

    def __init__(self, clock: Callable[[], datetime], faults: Faults | None = None) -> None:
        self.clock = clock
        self.faults = faults or Faults()
        self.admin_key = "admin"
        self.workspaces = [Workspace(str(uuid.uuid4()), name) for name in ("Default", "search-prod", "billing")]
        self.users = {"dev@example.com": str(uuid.uuid4())}
        self.keys: dict[KeyId, Live] = {}
        self.late: list[Live] = []
        self.dead: dict[str, datetime] = {}
        self.posts = 0
        self.reads = 0
        self.latest: date | None = None
        """The policy: no key may end later."""
        self.refuses_new_keys = 0
        """How many checks of a new key are refused."""

    def factory(
        self, name: str, spec: KeyIssuerSpec, admin_key: SecretValue, ca_bundle: SecretValue | None
    ) -> FakeIssuer:
        """An IssuerFactory."""
        return FakeIssuer(self, admin_key)

    def names(self) -> dict[KeyId, str | None]:
        """All live keys."""
        return {key_id: live.listed.name for key_id, live in self.keys.items()}

    def accepts(self, plaintext: str | None) -> bool:
        """Whether a key works."""
        return plaintext is not None and any(live.plaintext == plaintext for live in self.keys.values())

    def make(self, request: KeyRequest) -> Live:
        """A key, not listed yet."""
        end = request.expiration
        if self.latest is not None:
            end = min(end or self.latest, self.latest)
        plaintext = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32))
        listed = ListedKey(
            key_id=KeyId(str(uuid.uuid4())),
            name=request.name,
            masked=f"{plaintext[:4]}...{plaintext[-4:]}",
            expires_on=end,
            last_used=None,
            workspace_id=request.workspace_id,
        )
        return Live(listed, plaintext)

    def commit(self, live: Live) -> None:
        """It exists from now on."""
        self.keys[live.listed.key_id] = live

    def commit_late(self) -> None:
        """What was still on its way arrives."""
        while self.late:
            self.commit(self.late.pop())


class FakeIssuer:
    """Implements keywright.ports.issuer.Issuer."""

    def __init__(self, platform: FakePlatform, admin_key: SecretValue) -> None:
        self._platform = platform
        self._admin_key = admin_key

    def quiet(self) -> None:
        """Never."""

    async def create(self, request: KeyRequest) -> IssuedKey:
        """A POST."""
        self._authorize()
        if request.workspace_id not in {workspace.id for workspace in self._platform.workspaces}:
            raise Rejected("there is no such workspace", reason="IssuerRefused")
        if request.user_id not in self._platform.users.values():
            raise Rejected("there is no such user", reason="IssuerRefused")
        self._platform.posts += 1
        live = self._platform.make(request)
        try:
            self._platform.faults.before("create")
        except Ambiguous as error:
            if str(error) == "late":
                self._platform.late.append(live)
            raise
        self._platform.commit(live)
        self._platform.faults.after("create")
        return IssuedKey(
            key_id=live.listed.key_id,
            plaintext=SecretValue(live.plaintext),
            masked=live.listed.masked,
            expires_on=live.listed.expires_on,
            created_at=self._platform.clock(),
        )

    async def revoke(self, key_id: KeyId, workspace_id: str | None = None) -> None:
        """A DELETE."""
        self._authorize()
        self._platform.faults.before("revoke")
        live = self._platform.keys.pop(key_id, None)
        known = {workspace.id for workspace in self._platform.workspaces}
        if live is None and workspace_id is not None and workspace_id not in known:
            raise Rejected("the admin key is one of another organization", reason="WorkspaceNotFound")
        if live:
            self._platform.dead[live.plaintext] = self._platform.clock()
        self._platform.faults.after("revoke")

    async def list_keys(self, name: str | None = None) -> Sequence[ListedKey]:
        """All whose name contains it."""
        self._authorize()
        self._platform.faults.before("list_keys")
        self._platform.reads += 1
        found = [live.listed for live in self._platform.keys.values()]
        return [key for key in found if name is None or name.lower() in (key.name or "").lower()]

    async def workspaces(self) -> Sequence[Workspace]:
        """All."""
        self._authorize()
        self._platform.faults.before("workspaces")
        self._platform.reads += 1
        return list(self._platform.workspaces)

    async def user_id(self, user: str) -> str:
        """By address or uuid."""
        self._authorize()
        self._platform.faults.before("user_id")
        self._platform.reads += 1
        for address, user_id in self._platform.users.items():
            if user.lower() == address or user == user_id:
                return user_id
        raise Rejected("no member of the organization has this address; correct it", reason="UserNotFound")

    async def check(self, plaintext: SecretValue) -> bool:
        """Whether it works."""
        self._platform.faults.before("check")
        if self._platform.refuses_new_keys:
            self._platform.refuses_new_keys -= 1
            return False
        return self._platform.accepts(plaintext.reveal())

    async def close(self) -> None:
        """Nothing to give back."""

    def _authorize(self) -> None:
        if self._admin_key.reveal() != self._platform.admin_key:
            raise Unauthorized("the platform refused the admin key (401); put a valid one", reason="AdminKeyRefused")
