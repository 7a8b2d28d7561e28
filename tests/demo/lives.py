"""Builders: observations and objects as they look in a cluster, without a cluster."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, date, datetime
from typing import Any

from keywright.demo.board import Board
from keywright.demo.life import Delivered, Life, Standing
from keywright.keys import ResourceKey

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SEARCH = ResourceKey("shop", "search")


def a_standing(**changes: Any) -> Standing:
    """An ApiKey that is Ready with the key k1."""
    return Standing(
        **{"wanted": "in workspace search-prod, for 90 days", "ready": True, "reason": "Issued", "key_id": "k1"}
        | changes
    )


def a_delivery(key_id: str = "k1", masked: str = "Aaaa...aaaa") -> Delivered:
    """A Secret that holds this key."""
    return Delivered(key_id, masked, "search-key", ("api-key",), date(2027, 2, 22))


def a_proved_life() -> Life:
    """Asked for at 1.0, its first key k1 delivered and tried."""
    life = Life()
    life.asked(1.0)
    life.stands(a_standing(), 1.1)
    life.holds(a_delivery(), 1.2)
    life.answered("k1", 1.3, works=True)
    return life


def a_board(now: float = 20.0) -> Board:
    """With a clock that stands still."""
    return Board(clock=lambda: now, tell=lambda _: None)


def an_api_key(**changes: Any) -> dict[str, Any]:
    """An ApiKey as the apiserver gives it."""
    return {
        "metadata": {"namespace": "shop", "name": "search", "uid": "u1"},
        "spec": {"workspace": "search-prod", "expiry": {"validity": "90d"}, "issuerRef": {"name": "mistral"}},
    } | changes


def a_secret(plaintext: str, data: dict[str, str]) -> dict[str, Any]:
    """A Secret that keywright delivered, with this data in it."""
    record = {
        "apikey": "shop/search",
        "key-id": "k1",
        "masked-key": f"{plaintext[:4]}...{plaintext[-4:]}",
        "digest": hashlib.sha256(plaintext.encode()).hexdigest(),
        "expires-on": "2027-02-22",
    }
    return {
        "metadata": {
            "namespace": "shop",
            "name": "search-key",
            "annotations": {f"keywright.dev/{name}": value for name, value in record.items()},
        },
        "data": {name: base64.b64encode(text.encode()).decode() for name, text in data.items()},
    }
