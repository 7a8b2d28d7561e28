"""Logins at one store: one for each identity, shared by all that come with it, renewed before it lapses.

An identity is the ApiKey's namespace where its own ServiceAccount logs in, and nobody in particular elsewhere. Must not keep what
a login is made with: a ServiceAccount's token is asked for, shown to Vault and forgotten.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from keywright.errors import Ambiguous, KeywrightError, Rejected, Retryable, Terminal
from keywright.keys import SecretValue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

__all__ = ["Grant", "Logins"]

_FAILURE_FRESH: Final = 5.0
"""Seconds for which a refused login is shared: a thousand ApiKeys that wait for it cost one request."""
_ANEW_AGAIN: Final = 15.0
"""Seconds after which a login that was made after a 403 may be doubted again: a policy that is missing stays missing."""
_SHARE: Final = 2 / 3
"""Of its time a login is used until it is renewed."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a login gave. `seconds` None: it does not lapse."""

    token: SecretValue
    seconds: float | None
    renewable: bool

    @classmethod
    def of_login(cls, answer: Mapping[str, Any]) -> Grant:
        """From `auth` of a login's or a renewal's answer."""
        auth = answer.get("auth")
        token = auth.get("client_token") if isinstance(auth, dict) else None
        if not isinstance(auth, dict) or not isinstance(token, str) or not token:
            raise Rejected("the login's answer holds no token: is that address a Vault?", reason="StoreInvalid")
        return cls(SecretValue(token), _seconds(auth.get("lease_duration")), auth.get("renewable") is True)

    @classmethod
    def of_lookup(cls, token: SecretValue, answer: Mapping[str, Any]) -> Grant:
        """From what Vault says of a token that was given."""
        data = answer.get("data")
        data = data if isinstance(data, dict) else {}
        return cls(token, _seconds(data.get("ttl")), data.get("renewable") is True)


def _seconds(said: object) -> float | None:
    return float(said) if isinstance(said, int | float) and said > 0 else None


@dataclass(slots=True)
class _Held:
    grant: Grant
    renew_at: float
    lapses_at: float


class Logins:
    """All logins at one store."""

    def __init__(
        self, log_in: Callable[[str], Awaitable[Grant]], renew: Callable[[SecretValue], Awaitable[Grant]]
    ) -> None:
        """`log_in` takes an identity, `renew` a token."""
        self._log_in = log_in
        self._renew = renew
        self._held: dict[str, _Held] = {}
        self._anew: dict[str, float] = {}
        self._failed: dict[str, tuple[float, KeywrightError]] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def token(self, identity: str) -> SecretValue:
        """One that works for a while."""
        now = asyncio.get_running_loop().time()
        held = self._held.get(identity)
        if held and now < held.renew_at:
            return held.grant.token
        async with self._locks[identity]:
            held = self._held.get(identity)
            if held and now < held.renew_at:
                return held.grant.token
            return await self._fresh(identity, held)

    async def anew(self, identity: str, refused: SecretValue) -> SecretValue:
        """After a 403: another login, unless one was made for that reason just now; then the same token, to be told again."""
        now = asyncio.get_running_loop().time()
        async with self._locks[identity]:
            held = self._held.get(identity)
            if held and held.grant.token != refused:
                return held.grant.token
            if now < self._anew.get(identity, float("-inf")):
                return refused
            self._anew[identity] = now + _ANEW_AGAIN
            self._held.pop(identity, None)
            return await self._fresh(identity, None)

    async def _fresh(self, identity: str, held: _Held | None) -> SecretValue:
        now = asyncio.get_running_loop().time()
        if identity in self._failed and now < self._failed[identity][0]:
            raise self._failed[identity][1].with_traceback(None)
        try:
            grant = await self._renewed(held, now) or await self._log_in(identity)
        except (Retryable, Terminal, Ambiguous) as error:
            self._failed[identity] = (now + _FAILURE_FRESH, error)
            raise
        self._failed.pop(identity, None)
        lasts = float("inf") if grant.seconds is None else grant.seconds
        self._held[identity] = _Held(grant, now + lasts * _SHARE, now + lasts)
        return grant.token

    async def _renewed(self, held: _Held | None, now: float) -> Grant | None:
        """The same login for longer; None where it cannot be, and another is made."""
        if held is None or not held.grant.renewable or now >= held.lapses_at:
            return None
        try:
            grant = await self._renew(held.grant.token)
        except (Retryable, Terminal):
            return None
        # Near the end of all its time a renewal gives less and less.
        return grant if grant.seconds is None or grant.seconds > (held.grant.seconds or 0) / 2 else None
