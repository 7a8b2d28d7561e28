"""What the apiserver says of a token, how long it is believed, and how little is asked."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.adapters.kube_wire import a_kubeconfig
from tests.adapters.wire_server import http

from keywright.adapters import kube_reviews
from keywright.adapters.kube import KubeApi
from keywright.adapters.kube_reviews import Reviews, Verdict
from keywright.errors import KeywrightError, Unauthorized

USER = {"username": "system:serviceaccount:monitoring:prometheus", "uid": "u", "groups": ["g"], "extra": {"k": ["v"]}}
KNOWN = http(201, {"status": {"authenticated": True, "user": USER}})
STRANGER = http(201, {"status": {"user": {}}})
MAY = http(201, {"status": {"allowed": True}})
MAY_NOT = http(201, {"status": {"allowed": False}})


@pytest.fixture
async def reviews(wire, tmp_path):
    """For /metrics, at the WireServer."""
    async with await KubeApi.connect(a_kubeconfig(tmp_path / "kubeconfig", wire.url, {"token": "own"})) as api:
        yield Reviews(api, "/metrics")


async def test_who_it_is_and_what_they_may_are_two_questions(wire, reviews):
    """The second tells all that the first one said of the user."""
    wire.answers(KNOWN, MAY)
    assert await reviews.of("theirs") is Verdict.ALLOWED
    who, what = (json.loads(seen.body)["spec"] for seen in wire.seen)
    assert who == {"token": "theirs"}
    assert what == {
        "user": USER["username"],
        "uid": "u",
        "groups": ["g"],
        "extra": {"k": ["v"]},
        "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
    }


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ((KNOWN, MAY), Verdict.ALLOWED),
        ((KNOWN, MAY_NOT), Verdict.FORBIDDEN),
        ((STRANGER,), Verdict.UNKNOWN),
    ],
)
async def test_an_answer_is_believed_for_a_while(wire, reviews, monkeypatch, answers, verdict):
    """Of this token, and no longer; longer where it is an allowance."""
    longer = "_REFUSED_FRESH" if verdict is Verdict.ALLOWED else "_ALLOWED_FRESH"
    monkeypatch.setattr(kube_reviews, longer, 1e9)
    monkeypatch.setattr(kube_reviews, ({"_REFUSED_FRESH", "_ALLOWED_FRESH"} - {longer}).pop(), 300.0)
    loop = asyncio.get_running_loop()
    real, ahead = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: real() + ahead)
    wire.answers(*answers, *answers, *answers)
    assert [await reviews.of("theirs") for _ in range(5)] == [verdict] * 5
    assert len(wire.seen) == len(answers)
    await reviews.of("another")
    assert len(wire.seen) == 2 * len(answers)
    ahead = 301.0
    assert await reviews.of("theirs") is verdict
    assert len(wire.seen) == 3 * len(answers)


async def test_what_cannot_be_asked_is_no_answer(wire, reviews):
    """Neither is it remembered; no error quotes the token."""
    wire.answers(http(403, {}), http(500, {"message": "theirs"}), KNOWN, MAY)
    with pytest.raises(Unauthorized):
        await reviews.of("theirs")
    with pytest.raises(Exception, match="tokenreviews") as caught:
        await reviews.of("theirs")
    assert "theirs" not in str(caught.value)
    assert await reviews.of("theirs") is Verdict.ALLOWED


async def test_made_up_tokens_by_the_hundred_are_reviewed_a_few_at_a_time(wire, reviews, monkeypatch):
    """The rest are told that nobody can say; what is kept of them is bounded."""
    monkeypatch.setattr(kube_reviews, "_PATIENCE", 0.3)
    enough = asyncio.Event()

    async def mute(_writer):
        await enough.wait()

    wire.answers(mute)
    results = await asyncio.gather(*(reviews.of(f"made-up-{i}") for i in range(50)), return_exceptions=True)
    enough.set()
    assert all(isinstance(result, KeywrightError) for result in results)
    assert sum("too many tokens" in str(result) for result in results) >= 40
    assert len(wire.seen) <= 2 * kube_reviews._AT_ONCE
    monkeypatch.setattr(kube_reviews, "_PATIENCE", 5.0)
    monkeypatch.setattr(kube_reviews, "_KEPT", 3)
    wire.answers(STRANGER)
    for i in range(10):
        await reviews.of(f"other-{i}")
    assert len(reviews._kept) == 3
