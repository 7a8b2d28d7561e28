"""What each ending of a request to Mistral means: an outcome in, one of keywright.errors out. Pure.

Owns the words a user reads. No message quotes an answer, but for the short reasons of a refused create. mistral.py is
the only caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keywright.adapters.httpclient import Answer, Silence
from keywright.adapters.mistral_wire import refusal
from keywright.api.reasons import Reason
from keywright.errors import Ambiguous, KeywrightError, Rejected, Unauthorized, Unavailable

if TYPE_CHECKING:
    from yarl import URL

__all__ = ["create_failure", "failure", "malformed", "unclear"]

_SUCCESS: Final = range(200, 300)
_REDIRECT: Final = range(300, 400)
_TIMED_OUT: Final = 408
_SERVER_ERROR: Final = 500

_UNDECIDED: Final = frozenset({303, 304, _TIMED_OUT})
"""Answers to a POST that do not say it was left undone, beside 1xx and 5xx. 303 points at its result; a 408 may come
from a gateway that had passed the request on."""


def failure(what: str, outcome: Answer | Silence, asked: URL, field: str = "url") -> KeywrightError | None:
    """The error that an outcome is, for a request that may be repeated; None: a success.

    `what`: the request as messages call it. `asked`: the address, and `field` where it stands in spec.mistral.
    """
    match outcome:
        case Silence(left=False):
            untrusted = outcome.code == "untrusted"
            hint = "name its CA in spec.mistral.caBundleSecretRef" if untrusted else f"check spec.mistral.{field}"
            return Unavailable(f"keyissuer cannot be reached at {asked.origin()}: {outcome.why}; {hint}")
        case Silence():
            return Unavailable(f"keyissuer left {what} unanswered ({outcome.why}); it is tried again")
        case Answer(status=status) if status in _SUCCESS:
            return None
        case Answer(status=404):
            hint = " and spec.mistral.adminPath" if field == "url" else ""
            return Rejected(
                f"keyissuer knows no {what} (404); check spec.mistral.{field}{hint}", reason=Reason.ISSUER_INVALID
            )
        case Answer(status=status) if status == _TIMED_OUT or status < _SUCCESS.start or status >= _SERVER_ERROR:
            return Unavailable(f"keyissuer answered {what} with {status}; it is tried again", after=outcome.retry_after)
        case _:
            return _refused(what, outcome, field, "")


def create_failure(what: str, outcome: Answer | Silence, asked: URL) -> KeywrightError | None:
    """As `failure`, for the one request that may not be repeated: what is not surely undone is Ambiguous."""
    match outcome:
        case Silence(left=False):
            return failure(what, outcome, asked)
        case Silence():
            return Ambiguous(f"keyissuer left {what} unanswered ({outcome.why}); a key may have been made")
        case Answer(status=status) if status in _SUCCESS:
            return None
        case Answer(status=status) if status in _UNDECIDED or status < _SUCCESS.start or status >= _SERVER_ERROR:
            return Ambiguous(f"keyissuer answered {what} with {status}; a key may have been made")
        case _:
            return _refused(what, outcome, "url", refusal(outcome.body))


def malformed(what: str) -> Rejected:
    """A success that is not what the reference says, to a request that reads."""
    return Rejected(
        f"keyissuer answered {what} with something that is not the documented JSON; "
        "check spec.mistral.url and spec.mistral.adminPath",
        reason=Reason.ISSUER_MALFORMED,
    )


def unclear(what: str, answer: Answer) -> Ambiguous:
    """A success that is not what the reference says, to the request that creates."""
    flaw = f"whose body {answer.flaw}" if answer.flaw else "and something that is not the documented JSON"
    return Ambiguous(f"keyissuer answered {what} with {answer.status} {flaw}; a key may have been made")


def _refused(what: str, answer: Answer, field: str, said: str) -> KeywrightError:
    match answer.status:
        case 401:
            return Unauthorized(
                "the platform refused the admin key (401); put a valid Admin API key into the Secret that "
                "spec.mistral.adminKeySecretRef names, and see that spec.mistral.authHeader fits the platform",
                reason=Reason.ADMIN_KEY_REFUSED,
            )
        case 403:
            return Unauthorized(
                f"the platform does not let this admin key do {what} (403); put an Admin API key of the organization "
                "into the Secret that spec.mistral.adminKeySecretRef names",
                reason=Reason.ADMIN_KEY_REFUSED,
            )
        case status if status in _REDIRECT:
            return Rejected(
                f"keyissuer redirected {what} to {answer.redirect or 'another path'} ({status}), and keywright follows "
                f"no redirect; change spec.mistral.{field} to the final address",
                reason=Reason.ISSUER_INVALID,
            )
        case status:
            return Rejected(
                f"keyissuer refused {what} ({status}){': ' if said else ''}{said}", reason=Reason.ISSUER_REFUSED
            )
