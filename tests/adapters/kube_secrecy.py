"""Plaintexts that tests of the real apiserver make, and what must not hold them: refusals, and log lines."""

from __future__ import annotations

import pytest
from tests.adapters.kube_wire import holds
from tests.adapters.wire_server import a_plaintext

from keywright.errors import Rejected

MERGE = "application/merge-patch+json"


made: list[str] = []


def a_key() -> str:
    """A plaintext that no log of this test may hold."""
    made.append(a_plaintext())
    return made[-1]


async def refused(coroutine, kind=Rejected) -> str:
    """The message of a refusal; nothing about it may hold a plaintext that this test made."""
    with pytest.raises(kind) as caught:
        await coroutine
    error: BaseException | None = caught.value
    assert getattr(error, "reason", "TargetRefused") == "TargetRefused"
    while error is not None:
        said = f"{error!r} {error} {vars(error)}"
        assert not any(holds(said, plaintext) for plaintext in made)
        error = error.__cause__ or error.__context__
    return str(caught.value)
