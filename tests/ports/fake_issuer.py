"""The platform in memory: keys that are shown once, a listing, and answers that get lost."""

from __future__ import annotations

import random
import string
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.ports.faults import Faults

from keywright.errors import KeywrightError, Rejected, Retryable, Unauthorized
from keywright.keys import KeyId, ListedKey, SecretValue, Workspace
from keywright.ports.issuer import IssuedKey, KeyRequest, Usage
from keywright.ports.lease import Lease, Unshared

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime

    from keywright.api.keyissuer import KeyIssuerSpec
    from keywright.ports.issuer import Pace

__all__ = ["FakeIssuer", "FakePlatform", "Live"]

UNSHARED = Unshared()
_DEADLINE = 10.0
"""Seconds of one request."""


@dataclass
class Live:
    """A key at the platform."""

    listed: ListedKey
    plaintext: str = field(repr=False)
    made_at: datetime


class FakePlatform:
    """The platform's side, and what a person does there."""

    def __init__(
        self, clock: Callable[[], datetime], faults: Faults | None = None, source: random.Random | None = None
    ) -> None:
        """`source` of ids and plaintexts: the system's, unless a seeded one is given."""
        self.clock = clock
        self.faults = faults or Faults()
        self._source = source or random.SystemRandom()
        self.admin_key = "admin"
        self.workspaces = [Workspace(self.new_id(), name) for name in ("Default", "search-prod", "billing")]
        self.archived: list[Workspace] = []
        self.users = {"dev@example.com": self.new_id()}
        self.keys: dict[KeyId, Live] = {}
        self.late: list[Live] = []
        self.dead: dict[str, datetime] = {}
        self.ended: list[Live] = []
        self.usage: list[Usage] = []
        self.posts = 0
        self.reads = 0
        self.lag = timedelta(0)
        """How old a listing is."""
        self.latest: date | None = None
        """The policy: no key may end later."""
        self.refuses_new_keys = 0
        """How many checks of a new key are refused."""
        self._past: list[tuple[datetime, KeyId, Live | None]] = []

    @property
    def version(self) -> int:
        """Another one after each key that was made or ended."""
        return len(self._past)

    def new_id(self) -> str:
        """A uuid."""
        return str(uuid.UUID(int=self._source.getrandbits(128), version=4))

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
        plaintext = "".join(self._source.choices(string.ascii_letters + string.digits, k=32))
        listed = ListedKey(
            key_id=KeyId(self.new_id()),
            name=request.name,
            masked=f"{plaintext[:4]}...{plaintext[-4:]}",
            expires_on=end,
            last_used=None,
            workspace_id=request.workspace_id,
        )
        return Live(listed, plaintext, self.clock())

    def commit(self, live: Live) -> None:
        """It exists from now on."""
        self._past.append((self.clock(), live.listed.key_id, self.keys.get(live.listed.key_id)))
        self.keys[live.listed.key_id] = live

    def end(self, key_id: KeyId) -> None:
        """It exists no more."""
        live = self.keys.pop(key_id, None)
        if live:
            self._past.append((self.clock(), key_id, live))
            self.dead[live.plaintext] = self.clock()
            self.ended.append(live)

    def listed(self) -> list[ListedKey]:
        """All live keys, as they were a while ago where listings lag."""
        keys: dict[KeyId, Live | None] = dict(self.keys)
        if self.lag:
            since = self.clock() - self.lag
            keys |= {key_id: before for at, key_id, before in reversed(self._past) if at > since}
        return [live.listed for live in keys.values() if live]

    def commit_late(self) -> None:
        """What was still on its way arrives."""
        while self.late:
            self.commit(self.late.pop())


_PAGE = 100


def _matches(key: ListedKey, name: str | None) -> bool:
    wanted = (name or "").lower()
    return wanted in (key.name or "").lower() or key.masked.lower().endswith(wanted)


class FakeIssuer:
    """Implements keywright.ports.issuer.Issuer."""

    def __init__(
        self,
        platform: FakePlatform,
        admin_key: SecretValue,
        faults: Faults | None = None,
        lease: Lease = UNSHARED,
    ) -> None:
        """`faults`: the platform's own, unless this process has others."""
        self._platform = platform
        self._admin_key = admin_key
        self._faults = faults or platform.faults
        self._lease = lease

    def quiet(self) -> None:
        """Never."""

    async def create(self, request: KeyRequest) -> IssuedKey:
        """A POST."""
        self._authorize()
        if request.workspace_id not in {workspace.id for workspace in self._platform.workspaces}:
            raise Rejected("there is no such workspace", reason="IssuerRefused")
        if request.user_id not in self._platform.users.values():
            raise Rejected("there is no such user", reason="IssuerRefused")
        live = self._platform.make(request)
        try:
            await self._faults.before("create")
        except KeywrightError as error:
            self._platform.posts += 1
            if str(error) == "late":
                self._platform.late.append(live)
            raise
        self._lease.require(_DEADLINE)
        self._platform.posts += 1
        self._platform.commit(live)
        await self._faults.after("create")
        return IssuedKey(
            key_id=live.listed.key_id,
            plaintext=SecretValue(live.plaintext),
            masked=live.listed.masked,
            expires_on=live.listed.expires_on,
            created_at=self._platform.clock(),
        )

    async def revoke(self, key_id: KeyId, workspace_id: str | None = None, *, ahead: bool = False) -> None:
        """A DELETE."""
        self._authorize()
        await self._faults.before("revoke")
        self._lease.require(_DEADLINE)
        known = {workspace.id for workspace in self._platform.workspaces}
        if key_id not in self._platform.keys and workspace_id is not None and workspace_id not in known:
            raise Rejected("the admin key is one of another organization", reason="WorkspaceNotFound")
        self._platform.end(key_id)
        await self._faults.after("revoke")

    async def list_keys(self, name: str | None = None, *, pace: Pace | None = None) -> Sequence[ListedKey]:
        """All whose name contains it, or whose masked key ends with it, in pages of 100; as they are when the first is read."""
        self._authorize()
        found: list[ListedKey] = []
        read = 0
        while read == 0 or read < len(found):
            if pace is not None and read:
                await pace(read, None)
            await self._page(read, pace)
            if read == 0:
                found = [key for key in self._platform.listed() if _matches(key, name)]
            read += _PAGE
        return found

    async def _page(self, read: int, pace: Pace | None) -> None:
        while True:
            failed: Retryable | None = None
            try:
                await self._faults.before("list_keys")
            except Retryable as error:
                if pace is None:
                    raise
                failed = error
            if failed is None or pace is None:
                break
            await pace(read, failed)
        self._platform.reads += 1

    async def workspaces(self) -> Sequence[Workspace]:
        """All."""
        self._authorize()
        await self._faults.before("workspaces")
        self._platform.reads += 1
        return list(self._platform.workspaces)

    async def archived_workspaces(self) -> Sequence[Workspace]:
        """Those that a test has archived."""
        self._authorize()
        await self._faults.before("workspaces")
        self._platform.reads += 1
        return list(self._platform.archived)

    async def user_id(self, user: str) -> str:
        """By address or uuid."""
        self._authorize()
        await self._faults.before("user_id")
        self._platform.reads += 1
        for address, user_id in self._platform.users.items():
            if user.lower() == address or user == user_id:
                return user_id
        raise Rejected("no member of the organization has this address; correct it", reason="UserNotFound")

    async def check(self, plaintext: SecretValue) -> bool:
        """Whether it works."""
        await self._faults.before("check")
        if self._platform.refuses_new_keys:
            self._platform.refuses_new_keys -= 1
            return False
        return self._platform.accepts(plaintext.reveal())

    async def usage(self) -> Sequence[Usage]:
        """As it was set."""
        self._authorize()
        await self._faults.before("usage")
        return list(self._platform.usage)

    async def close(self) -> None:
        """Nothing to give back."""

    def _authorize(self) -> None:
        if self._admin_key.reveal() != self._platform.admin_key:
            raise Unauthorized("the platform refused the admin key (401); put a valid one", reason="AdminKeyRefused")
