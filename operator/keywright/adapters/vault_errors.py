"""What a Vault's answers mean. Pure. No sentence quotes an answer: of Vault's own words only known phrases are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from keywright.errors import Ambiguous, Conflict, KeywrightError, RateLimited, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Answer", "Denied", "Missing", "error_of", "login_refused"]

_REDIRECTS: Final = (301, 302, 303, 307, 308)
_BAD, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _NOT_ALLOWED = 400, 401, 403, 404, 405
_STALE, _TOO_LARGE, _TOO_MANY, _UNREADY, _SEALED = 412, 413, 429, 501, 503
_STANDBY: Final = {_TOO_MANY: "stands by", 472: "is a standby for disaster recovery", 473: "is a performance standby"}
_SERVER_ERRORS: Final = 500
_LONGEST_PAUSE: Final = 300.0
"""Seconds that a Vault's own Retry-After counts for."""

_LOGIN_PHRASES: Final = (
    (
        "audience",
        "the token's audience is not the one that the role wants: spec.auth.kubernetes.serviceAccountRef.audiences must name it",
    ),
    ("service account name not authorized", "the role's bound_service_account_names do not have this ServiceAccount"),
    ("namespace not authorized", "the role's bound_service_account_namespaces do not have this namespace"),
    ("secret id", "role id or secret id is not valid: put a new secret id into the Secret"),
    ("role or secret", "role id or secret id is not valid: put a new secret id into the Secret"),
    ("role", "there is no such role: spec.auth must name one that exists"),
    ("no handler", "no auth method is mounted there: spec.auth must name its mount"),
)


class Denied(Rejected):
    """403: the token is no good any more, or its policies do not allow this."""


class Missing(Rejected):
    """404: nothing is there; `body` tells of a version that was deleted, and holds no data of it."""

    def __init__(self, message: str, body: Mapping[str, Any]) -> None:
        """Of a mount that has nothing at this path."""
        super().__init__(message, reason="StoreInvalid")
        self.body = body


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no success. `asked`: METHOD path; `store`: as messages call it; `write`: whether it was to change something."""

    store: str
    asked: str
    status: int
    body: Mapping[str, Any] = field(repr=False)
    location: str | None = None
    retry_after: str | None = None
    write: bool = False

    def says(self, phrase: str) -> bool:
        """Whether Vault's own words have this in them."""
        words = self.body.get("errors")
        return isinstance(words, list) and any(isinstance(w, str) and phrase in w.lower() for w in words)


def error_of(answer: Answer) -> KeywrightError:
    """The error that it is."""
    store, asked, status = answer.store, answer.asked, answer.status
    if (found := _away(answer) or _misplaced(answer)) is not None:
        return found
    if status == _BAD and answer.says("check-and-set"):
        return Conflict(f"somebody else wrote to {store} first")
    if status in (_UNAUTHORIZED, _FORBIDDEN):
        return Denied(f"{store} forbids {asked}", reason="StoreRefused")
    if status == _TOO_LARGE or (status == _BAD and answer.says("too large")):
        return Rejected(
            f"what was to be written is too large for {store}: shorten spec.target.vault.template",
            reason="TargetRefused",
        )
    if status < _SERVER_ERRORS:
        return Rejected(f"{store} refused {asked} ({status}); its audit log tells why", reason="TargetRefused")
    sentence = f"{store} failed at {asked} ({status})"
    return Ambiguous(sentence) if answer.write else Unavailable(sentence)


def _away(answer: Answer) -> Unavailable | RateLimited | None:
    """Vault did nothing, and may do it later."""
    store, status = answer.store, answer.status
    if status in _REDIRECTS:
        to = urlsplit(answer.location or "")
        return Unavailable(
            f"{store} stands by and sends elsewhere ({to.scheme}://{to.hostname}), which is not followed: "
            "write an address into spec.address that leads to the active node"
        )
    if status == _TOO_MANY and (answer.retry_after or answer.says("rate limit") or answer.says("quota")):
        return RateLimited(f"{store} asks for a pause", after=_seconds(answer.retry_after))
    if status in _STANDBY:
        return Unavailable(f"{store} {_STANDBY[status]} ({status}): spec.address must lead to the active node")
    if status == _STALE:
        return Unavailable(f"{store} has not caught up with its active node yet ({status})")
    if status == _UNREADY:
        return Unavailable(f"{store} is not initialized ({status}): run vault operator init")
    if status == _SEALED and (answer.says("sealed") or answer.body.get("sealed") is True):
        return Unavailable(f"{store} is sealed: unseal it")
    return None


def _misplaced(answer: Answer) -> Rejected | None:
    """There is nothing at this path, or no engine that knows it."""
    store, asked, status = answer.store, answer.asked, answer.status
    if status == _NOT_FOUND and not (answer.says("no handler for route") or answer.says("unsupported path")):
        return Missing(f"{store} has nothing there ({asked})", answer.body)
    if status in (_NOT_FOUND, _NOT_ALLOWED) or (status == _BAD and answer.says("unsupported operation")):
        return Rejected(
            f"{store} has no KV version 2 engine there ({asked}, {status}): spec.mount must name one",
            reason="StoreInvalid",
        )
    return None


def login_refused(store: str, how: str, answer: Answer) -> KeywrightError:
    """The error of a login: refused with a word on what mends it, or an answer like any other."""
    if answer.status in (_BAD, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND) or (
        answer.status == _SERVER_ERRORS and answer.says("not authorized")
    ):
        why = next((remedy for phrase, remedy in _LOGIN_PHRASES if answer.says(phrase)), None)
        why = why or "its audit log tells why; role, ServiceAccount, namespace and audience must fit together"
        return Rejected(f"{store} refused to log in by {how} ({answer.status}): {why}", reason="StoreRefused")
    return error_of(answer)


def _seconds(retry_after: str | None) -> float | None:
    try:
        return min(max(float(retry_after or ""), 0.0), _LONGEST_PAUSE)
    except ValueError:
        return None
