"""What the apiserver's answers become, and what of them is never repeated."""

from __future__ import annotations

import json

import pytest
from tests.adapters.kube_wire import a_status, holds
from tests.adapters.wire_server import a_plaintext

from keywright.adapters.kube_errors import MESSAGE_LIMIT, Answer, Gone, NotFound, error_of
from keywright.errors import Ambiguous, Conflict, RateLimited, Rejected, Unauthorized, Unavailable


def answered(status: int, body: object = b"", *, write=True, confidential=False, retry_after=None):
    """The error of one answer to PATCH /x."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_of(Answer("PATCH /x", status, raw, retry_after, write, confidential))


@pytest.mark.parametrize(
    ("status", "write", "kind", "reason"),
    [
        (400, True, Rejected, "Rejected"),
        (401, True, Unauthorized, "Unauthorized"),
        (403, True, Unauthorized, "Forbidden"),
        (404, True, NotFound, "NotFound"),
        (409, True, Conflict, None),
        (410, False, Gone, "Expired"),
        (413, True, Rejected, "Rejected"),
        (422, True, Rejected, "Rejected"),
        (429, True, RateLimited, None),
        (302, True, Ambiguous, None),
        (302, False, Unavailable, None),
        (500, True, Ambiguous, None),
        (500, False, Unavailable, None),
        (503, True, Ambiguous, None),
        (504, False, Unavailable, None),
    ],
)
def test_a_status_is_one_kind_of_error(status, write, kind, reason):
    """Whatever the body is: a write that may have happened is ambiguous, a read never is."""
    for body in (b"", b"404 page not found", b"[]", b"{", b'{"kind": "Status", "details": 7}', a_status("")):
        error = answered(status, body, write=write)
        assert type(error) is kind
        assert getattr(error, "reason", None) == reason


def test_absence_is_certain_only_where_the_server_names_the_object():
    """An unknown path answers 404 as well, and says nothing about the object."""
    assert answered(404, a_status("NotFound", 'secrets "a" not found', name="a", kind="secrets")).named
    assert not answered(404, b"404 page not found").named
    assert not answered(404, a_status("NotFound", "the server could not find the requested resource")).named


@pytest.mark.parametrize(("said", "after"), [("7", 7.0), (None, None), ("soon", None), ("-1", None)])
def test_a_pause_is_passed_on(said, after):
    """Retry-After in seconds; anything else is as if nothing was said."""
    assert answered(429, retry_after=said).after == after
    assert answered(503, retry_after=said, write=False).after == after


def test_a_message_is_passed_on_in_one_short_line():
    """The apiserver's own sentence helps a user; line breaks, colours and pages of it do not."""
    said = str(answered(422, a_status("Invalid", "a\n\x1b[31mb\u2028" + "c" * 5000)))
    assert said.startswith("the apiserver answered PATCH /x with 422 Invalid: a [31mb ccc")
    assert said.isprintable()
    assert len(said) < MESSAGE_LIMIT + 100


LEAKY = (
    'Secret "a" is invalid: data[api-key]: Invalid value: "{plain}"',
    'admission webhook "policy.example.com" denied the request: the value {plain} is on a list',
    "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: {plain}",
    "exceeded quota: q, requested: secrets=1, used: secrets=1, limited: secrets=1 {plain}",
    "{plain}",
)


@pytest.mark.parametrize("message", LEAKY)
@pytest.mark.parametrize("status", [400, 403, 409, 422, 429, 500])
def test_an_answer_to_a_secret_is_never_quoted(message, status):
    """Admission and validation put values into their sentences: neither the plaintext nor its base64 comes through."""
    plaintext = a_plaintext()
    for told in (plaintext, "cGxhaW50ZXh0" + plaintext):
        cause = {"field": f"data[api-key]: {told}", "reason": "FieldValueInvalid", "message": told}
        body = a_status("Invalid", message.format(plain=told), cause, name="a", kind="Secret")
        error = answered(status, body, confidential=True)
        assert not holds(f"{error!r} {error} {vars(error)}", plaintext)


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (
            403,
            a_status(
                "Forbidden",
                'secrets "a" is forbidden: exceeded quota: q, requested: secrets=1, used: secrets=9, limited: secrets=9',
            ),
            'secrets "a" is forbidden: exceeded quota: q, requested: secrets=1, used: secrets=9, limited: secrets=9',
        ),
        (
            403,
            a_status(
                "Forbidden",
                'secrets is forbidden: User "system:serviceaccount:keywright-system:keywright" cannot create resource '
                '"secrets" in API group "" in the namespace "team"',
            ),
            'cannot create resource "secrets" in API group "" in the namespace "team"',
        ),
        (403, a_status("Forbidden", "x", {"reason": "NamespaceTerminating"}), "the namespace is being deleted"),
        (422, a_status("Invalid", "x", {"field": "data", "reason": "FieldValueForbidden"}), "the Secret is immutable"),
        (422, a_status("Invalid", "x", {"field": "type", "reason": "FieldValueInvalid"}), "cannot be changed"),
        (422, a_status("Invalid", "x", {"field": "data", "reason": "FieldValueTooLong"}), "at most 1 MiB"),
        (
            422,
            a_status("Invalid", "x", {"field": "metadata.annotations", "reason": "FieldValueTooLong"}),
            "larger than 256 KiB",
        ),
        (
            422,
            a_status("Invalid", "x", {"field": "metadata.labels", "reason": "FieldValueInvalid"}),
            "metadata.labels (FieldValueInvalid)",
        ),
        (
            400,
            a_status("BadRequest", 'admission webhook "policy.example.com" denied the request: secret words'),
            'admission webhook "policy.example.com" denied the request',
        ),
    ],
)
def test_what_a_person_must_change_is_said_even_so(status, body, sentence):
    """Quota, rights, admission, immutability and size are named without any value."""
    said = str(answered(status, body, confidential=True))
    assert sentence in said
    assert "secret words" not in said
