"""L1: an error at any line between the request for a key and the status that names it gives no plaintext away."""

from __future__ import annotations

import base64
import json
import logging
import sys
from typing import Any

import pytest
from prometheus_client import generate_latest
from tests.reconcile.world import KEY, World
from tests.tracing import Line, each_line

from keywright.metrics import Metrics
from keywright.reconcile.worker import Workers
from keywright.reconcile.workqueue import WorkQueue

if sys.gettrace() is not None:
    pytest.skip("somebody else traces the lines", allow_module_level=True)


class Told(logging.Handler):
    """All that is logged at DEBUG, with every extra field, and without the second net that blots out what looks like a key."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.lines.append(f"{self.format(record)} {vars(record)}")


def between(world: World) -> bool:
    """Whether a key was made that no status names yet."""
    status = (world.cluster.stored.get(("ApiKey", KEY)) or {}).get("status") or {}
    return world.platform.posts == 1 and "keyId" not in status


async def lines_between() -> list[Line]:
    """All that are executed from the answer to the request until the status is written, in order, each once."""
    world, met = World(), dict[Line, None]()
    world.create()

    def told(line: Line) -> None:
        if between(world):
            met[line] = None

    with each_line(told):
        await world.pass_over()
    assert world.status().key_id
    return list(met)


def all_of(world: World, told: Told, metrics: Metrics) -> str:
    """Whatever anybody could read but the Secret itself."""
    return "\n".join(
        (
            *told.lines,
            json.dumps([obj for _, obj in world.cluster.stored.items()]),
            repr(world.cluster.events),
            generate_latest(metrics.registry).decode(),
            generate_latest(world.process.metrics.registry).decode(),
        )
    )


@pytest.fixture
def told() -> Any:
    """What is logged."""
    handler, root = Told(), logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


async def test_an_error_at_every_line_gives_no_plaintext_away(told: Told):
    """One whose own words are the plaintext, at each line in turn; and all is well in the end, with one key that works."""
    lines = await lines_between()
    modules = {module for module, _ in lines}
    assert {"reconcile/execute.py", "planning/recovery.py", "planning/transitions.py", "keys.py"} <= modules
    assert len(lines) > 200
    for line in lines:
        world, met = World(), False
        world.create()

        def strike(here: Line, world: World = world, line: Line = line) -> None:
            nonlocal met
            if here == line and not met and between(world):
                met = True
                words = [live.plaintext for live in world.platform.keys.values()]
                raise KeyError(*words)

        metrics = Metrics.create()
        worker = Workers(WorkQueue(), world.process.reconciler.reconcile, name="apikeys", count=1, metrics=metrics)
        with each_line(strike):
            await worker._one(KEY)
        assert met, line
        await world.quieten()
        world.one_key()
        said = all_of(world, told, metrics)
        for live in [*world.platform.keys.values(), *world.platform.ended]:
            for form in (live.plaintext, base64.b64encode(live.plaintext.encode()).decode().rstrip("=")):
                assert form not in said, line
        told.lines.clear()
