"""A sandbox of one's own for each test."""

from __future__ import annotations

import os

import pytest
import pytest_asyncio
from tests.browser import a_chromium, a_tab, chromium_path
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
def running(a_process):
    """The real command, serving."""
    one = a_process()
    one.start()
    return one


@pytest.fixture
async def visitor(sandbox):
    """Somebody who is signed in to the console."""
    somebody = Visitor(sandbox)
    await somebody.sign_in()
    return somebody


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium():
    """One browser for all tests of a worker, which share its loop."""
    executable = chromium_path()
    if executable is None:
        sentence = "there is no Chromium, so the console is not tried in a browser: apt-get install chromium"
        # Where nobody reads what was skipped it counts as broken.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(sentence)
    async with a_chromium(executable) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def tab(chromium):
    """A tab of one's own."""
    async with a_tab(chromium) as tab:
        yield tab
