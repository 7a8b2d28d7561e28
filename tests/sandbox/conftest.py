"""A sandbox of one's own for each test."""

from __future__ import annotations

import pytest
from tests.running import Sandbox
from tests.sandbox.asgi import Clock, Here
from tests.sandbox.visitor import Visitor

from keywright.sandbox.app import build_app
from keywright.sandbox.plaintext import new_plaintext
from keywright.sandbox.store import Store


@pytest.fixture
def sandbox(tmp_path):
    """The sandbox in this process, on a new data file."""
    clock = Clock()
    store = Store.open(tmp_path / "data", clock=clock.read)
    admin_key = new_plaintext()
    yield Here(build_app(store, admin_key=admin_key), store, clock, admin_key)
    store.close()


@pytest.fixture
def a_process(tmp_path):
    """Builds sandboxes that are processes of the real command, on one data file; none outlives its test."""
    made = []

    def build(*flags):
        made.append(Sandbox(tmp_path / "sandbox", *flags))
        return made[-1]

    yield build
    for one in made:
        one.kill()


@pytest.fixture
async def visitor(sandbox):
    """Somebody who is signed in to the console."""
    somebody = Visitor(sandbox)
    await somebody.sign_in()
    return somebody
