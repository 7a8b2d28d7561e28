"""Whose a token is and what they may, as the apiserver says: TokenReview, then SubjectAccessReview.

Answers are kept for a while, by a digest of the token; a token is shown to the apiserver and forgotten.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from enum import Enum
from typing import TYPE_CHECKING, Final

from keywright.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from keywright.adapters.kube import KubeApi

__all__ = ["Reviews", "Verdict"]

_TOKENS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_ACCESS: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_ALLOWED_FRESH: Final = 60.0
"""Seconds for which an answer is believed: so long may somebody read on whose right, or token, has ended."""
_REFUSED_FRESH: Final = 10.0
_KEPT: Final = 256
"""Answers: more tokens than this do not read one process's metrics."""
_AT_ONCE: Final = 4
"""Reviews under way: whoever shows made-up tokens by the thousand keeps neither the apiserver nor this process busy."""
_PATIENCE: Final = 5.0
"""Seconds that one waits for its review to begin, and as long again for each of its two answers."""


class Verdict(Enum):
    """What is said to who asks."""

    ALLOWED = 200
    UNKNOWN = 401
    FORBIDDEN = 403


class Reviews:
    """Who may GET one path that is no resource."""

    def __init__(self, api: KubeApi, path: str) -> None:
        """`api` with a lease of its own: replicas that stand by are asked, too."""
        self._api = api
        self._path = path
        self._kept: dict[bytes, tuple[float, Verdict]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def of(self, token: str) -> Verdict:
        """Raises KeywrightError where the apiserver does not answer, or does not let the operator ask."""
        digest = hashlib.sha256(token.encode()).digest()
        if (verdict := self._known(digest)) is not None:
            return verdict
        async with self._slot():
            if (verdict := self._known(digest)) is not None:
                return verdict
            verdict = await self._asked(token)
        fresh = _ALLOWED_FRESH if verdict is Verdict.ALLOWED else _REFUSED_FRESH
        self._kept[digest] = asyncio.get_running_loop().time() + fresh, verdict
        while len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]
        return verdict

    def _known(self, digest: bytes) -> Verdict | None:
        until, verdict = self._kept.get(digest, (0.0, Verdict.UNKNOWN))
        if asyncio.get_running_loop().time() < until:
            return verdict
        self._kept.pop(digest, None)
        return None

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._slots.acquire()
        except TimeoutError:
            raise Unavailable("too many tokens wait for the apiserver's review") from None
        try:
            yield
        finally:
            self._slots.release()

    async def _asked(self, token: str) -> Verdict:
        body = {"spec": {"token": token}}
        answer = await self._api.request("POST", _TOKENS, body=body, deadline=_PATIENCE, confidential=True)
        status = answer.get("status") or {}
        if status.get("authenticated") is not True:
            return Verdict.UNKNOWN
        user = status.get("user") or {}
        spec = {
            "user": user.get("username", ""),
            "uid": user.get("uid", ""),
            "groups": user.get("groups") or [],
            "extra": user.get("extra") or {},
            "nonResourceAttributes": {"path": self._path, "verb": "get"},
        }
        answer = await self._api.request("POST", _ACCESS, body={"spec": spec}, deadline=_PATIENCE)
        allowed = (answer.get("status") or {}).get("allowed") is True
        return Verdict.ALLOWED if allowed else Verdict.FORBIDDEN
