"""What each ending of a request to Mistral means: an outcome in, one of keywright.errors out. Pure.

Owns the words a user reads. No message quotes an answer, but for the short reasons of a refused create. mistral.py is
the only caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from keywright.adapters.httpclient import Answer, Silence
from keywright.adapters.mistral_wire import refusal
from keywright.api.reasons import Reason
from keywright.errors import Ambiguous, KeywrightError, Rejected, Unauthorized, Unavailable

if TYPE_CHECKING:
    from yarl import URL

__all__ = ["Asked", "create_failure", "failure", "malformed", "unclear"]

_SUCCESS: Final = range(200, 300)
_REDIRECT: Final = range(300, 400)
_TIMED_OUT: Final = 408
_SERVER_ERROR: Final = 500

_UNDECIDED: Final = frozenset({303, 304, _TIMED_OUT})
"""Answers to a POST that do not say it was left undone, beside 1xx and 5xx. 303 points at its result; a 408 may come
from a gateway that had passed the request on."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as messages tell of it: who was asked for what, at which address, and which field of spec.mistral says so."""

    issuer: str
    what: str
    address: URL
    field: str = "url"


def failure(asked: Asked, outcome: Answer | Silence) -> KeywrightError | None:
    """The error that an outcome is, for a request that may be repeated; None: a success."""
    match outcome:
        case Silence(left=False):
            untrusted = outcome.code == "untrusted"
            hint = "name its CA in spec.mistral.caBundleSecretRef" if untrusted else f"check spec.mistral.{asked.field}"
            return Unavailable(f"{asked.issuer} cannot be reached at {asked.address.origin()}: {outcome.why}; {hint}")
        case Silence():
            return Unavailable(f"{asked.issuer} left {asked.what} unanswered ({outcome.why}); it is tried again")
        case Answer(status=status) if status in _SUCCESS:
            return None
        case Answer(status=404):
            hint = " and spec.mistral.adminPath" if asked.field == "url" else ""
            return Rejected(
                f"{asked.issuer} knows no {asked.what} (404); check spec.mistral.{asked.field}{hint}",
                reason=Reason.ISSUER_INVALID,
            )
        case Answer(status=status) if status == _TIMED_OUT or status < _SUCCESS.start or status >= _SERVER_ERROR:
            return Unavailable(
                f"{asked.issuer} answered {asked.what} with {status}; it is tried again", after=outcome.retry_after
            )
        case _:
            return _refused(asked, outcome, "")


def create_failure(asked: Asked, outcome: Answer | Silence) -> KeywrightError | None:
    """As `failure`, for the one request that may not be repeated: what is not surely undone is Ambiguous."""
    match outcome:
        case Silence(left=False):
            return failure(asked, outcome)
        case Silence():
            return Ambiguous(f"{asked.issuer} left {asked.what} unanswered ({outcome.why}); a key may have been made")
        case Answer(status=status) if status in _SUCCESS:
            return None
        case Answer(status=status) if status in _UNDECIDED or status < _SUCCESS.start or status >= _SERVER_ERROR:
            return Ambiguous(f"{asked.issuer} answered {asked.what} with {status}; a key may have been made")
        case _:
            return _refused(asked, outcome, refusal(outcome.body))


def malformed(asked: Asked) -> Rejected:
    """A success that is not what the reference says, to a request that reads."""
    return Rejected(
        f"{asked.issuer} answered {asked.what} with something that is not the documented JSON; "
        "check spec.mistral.url and spec.mistral.adminPath",
        reason=Reason.ISSUER_MALFORMED,
    )


def unclear(asked: Asked, answer: Answer) -> Ambiguous:
    """A success that is not what the reference says, to the request that creates."""
    flaw = f"whose body {answer.flaw}" if answer.flaw else "and something that is not the documented JSON"
    return Ambiguous(f"{asked.issuer} answered {asked.what} with {answer.status} {flaw}; a key may have been made")


def _refused(asked: Asked, answer: Answer, said: str) -> KeywrightError:
    match answer.status:
        case 401:
            return Unauthorized(
                f"{asked.issuer}: the platform refused the admin key (401); put a valid Admin API key into the Secret that "
                "spec.mistral.adminKeySecretRef names, and see that spec.mistral.authHeader fits the platform",
                reason=Reason.ADMIN_KEY_REFUSED,
            )
        case 403:
            return Unauthorized(
                f"{asked.issuer}: the platform does not let this admin key do {asked.what} (403); put an Admin API key of the organization "
                "into the Secret that spec.mistral.adminKeySecretRef names",
                reason=Reason.ADMIN_KEY_REFUSED,
            )
        case status if status in _REDIRECT:
            return Rejected(
                f"{asked.issuer} redirected {asked.what} to {answer.redirect or 'another path'} ({status}), and keywright follows "
                f"no redirect; change spec.mistral.{asked.field} to the final address",
                reason=Reason.ISSUER_INVALID,
            )
        case status:
            return Rejected(
                f"{asked.issuer} refused {asked.what} ({status}){': ' if said else ''}{said}",
                reason=Reason.ISSUER_REFUSED,
            )
