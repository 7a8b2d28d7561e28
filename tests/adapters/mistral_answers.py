"""What Mistral's platform answers when all is well, and what an error gives away."""

from __future__ import annotations

import traceback
import uuid
from datetime import date
from typing import Any

from tests.adapters.wire_server import USER, a_plaintext, http

from keywright.ports.issuer import KeyRequest

__all__ = ["EMPTY_LIST", "KEY_ID", "PLAINTEXT", "REQUEST", "a_key", "created", "told", "without"]


KEY_ID = str(uuid.uuid4())
REQUEST = KeyRequest("search [kw/abc/def/ghi]", str(uuid.uuid4()), USER, date(2031, 1, 31))
PLAINTEXT = a_plaintext()
EMPTY_LIST = http(200, {"keys": []})


def created(plaintext: str, **change: Any) -> dict[str, Any]:
    """The answer to a create."""
    return {
        "key_id": KEY_ID,
        "key": plaintext,
        "name": REQUEST.name,
        "hidden_key": f"{plaintext[:4]}...{plaintext[-4:]}",
        "created_at": "2030-01-31T10:00:00Z",
        "expiration_date": "2031-01-31",
        "actions": {"something": "new"},
    } | change


def a_key(key_id: str, **change: Any) -> dict[str, Any]:
    """One key of a list."""
    return {
        "key_id": key_id,
        "key": None,
        "name": "a",
        "hidden_key": "abcd...wxyz",
        "expiration_date": None,
        "last_used": "2030-01-31",
        "workspace_id": None,
    } | change


def without(fields: dict[str, Any], name: str) -> dict[str, Any]:
    """The same, less one field."""
    return {key: value for key, value in fields.items() if key != name}


def told(error: BaseException) -> str:
    """All that a careless logger could print of an error: its chain, with every local variable below this test."""
    shown, one = [repr(error), str(error)], error
    while one is not None:
        below = one.__traceback__.tb_next if one is error and one.__traceback__ else one.__traceback__
        stack = traceback.StackSummary.extract(traceback.walk_tb(below), capture_locals=True)
        shown += [repr(one), str(one), *stack.format(), repr(vars(one))]
        one = one.__cause__ or one.__context__
    return "\n".join(shown)
