"""The usage report of Mistral's Admin API: what is read of it, and what it may look like without harm."""

from __future__ import annotations

import pytest
from tests.adapters.wire_server import ADMIN, http

from keywright.errors import Rejected
from keywright.ports.issuer import Usage

SEARCH, BILLING = "0e7f8f43-0000-4000-8000-000000000001", "0e7f8f43-0000-4000-8000-000000000002"


def used(workspace: str, value: object, day: int = 1) -> dict[str, object]:
    """One entry."""
    return {"timestamp": f"2026-11-{day:02}T00:00:00Z", "workspace_id": workspace, "api_zone": "eu", "value": value}


async def test_days_and_models_are_added_up_by_workspace_and_measure(wire, an_issuer, sent):
    """Of all categories, with nested ones by both names; prices, fine-tuning and what is not known are passed over."""
    wire.answers(
        http(
            200,
            {
                "completion": {
                    "models": {
                        "large": {"input": [used(SEARCH, 5), used(SEARCH, 2.5, 2), used(BILLING, 1)]},
                        "small": {"input": [used(SEARCH, 1)], "output": [used(SEARCH, 3)]},
                    }
                },
                "libraries_api": {"pages": {"models": {"ocr": {"pages": [used(BILLING, 7)]}}}},
                "fine_tuning": {"training": {"large": {"tokens": [used(SEARCH, 9)]}}, "storage": {}},
                "prices": None,
                "vibe_usage": 0,
                "new": {"models": {}},
            },
        )
    )
    assert await an_issuer().usage() == [
        Usage(SEARCH, "completion", "input", 8.5),
        Usage(BILLING, "completion", "input", 1),
        Usage(SEARCH, "completion", "output", 3),
        Usage(BILLING, "libraries_api_pages", "pages", 7),
    ]
    assert sent() == [f"GET {ADMIN}/usage"]


async def test_an_entry_that_says_nothing_is_passed_over(wire, an_issuer):
    """The reference leaves an entry's fields open."""
    entries = [{}, used(SEARCH, None), used(SEARCH, "5"), {"workspace_id": None, "value": 1}, used(SEARCH, 2)]
    wire.answers(http(200, {"chat": {"models": {"m": {"requests": entries}}}}))
    assert await an_issuer().usage() == [Usage(SEARCH, "chat", "requests", 2)]


@pytest.mark.parametrize("body", [[], {"completion": []}, {"chat": {"models": {"m": {"requests": [1]}}}}])
async def test_a_report_of_another_shape_is_an_error(wire, an_issuer, body):
    """Not an empty report."""
    wire.answers(http(200, body))
    with pytest.raises(Rejected) as caught:
        await an_issuer().usage()
    assert caught.value.reason == "IssuerMalformed"
