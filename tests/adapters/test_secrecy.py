"""Where a plaintext is uncovered: the places are few, and counted. And what errors at any line of an adapter give away."""

from __future__ import annotations

import ast
import logging
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.adapters.kube_builders import a_delivery, a_layout, an_owner, stored
from tests.adapters.kube_wire import a_kubeconfig, holds
from tests.adapters.mistral_answers import REQUEST, created
from tests.adapters.wire_server import a_plaintext, http
from tests.tracing import Line, each_line

import keywright
from keywright.adapters.kube import KubeApi
from keywright.adapters.kube_manifest import create_body
from keywright.adapters.kube_secret import SecretSink
from keywright.adapters.kube_template import Texts
from keywright.errors import KeywrightError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ROOM = Path(keywright.__file__).parent

ALLOWED = {
    # The texts of a Secret: rendered to be sent at once, and compared with what stands there.
    "adapters/kube_template.py": 2,
    # The header of a request: the admin key, and the key that is checked.
    "adapters/httpclient.py": 2,
    # A CA bundle: it comes from a Secret or ConfigMap as the admin key does, and is no secret.
    "adapters/mistral.py": 1,
    "adapters/vault_stores.py": 1,
    "adapters/kube_inspection.py": 1,
    # What logs in to Vault, a ServiceAccount's token or a secret id, and the header with the token that this gave.
    "adapters/vault_client.py": 3,
}


def calls_of(tree: ast.AST, name: str) -> int:
    """How often an attribute of this name is used, called or not."""
    return sum(isinstance(node, ast.Attribute) and node.attr == name for node in ast.walk(tree))


def test_a_plaintext_is_uncovered_in_few_places():
    """A new `.reveal` anywhere is a decision that somebody has to write down here; so is one by getattr or by its slot."""
    found = Counter()
    for path in ROOM.rglob("*.py"):
        name = str(path.relative_to(ROOM))
        text = path.read_text("utf-8")
        # Its own class; and a platform and a user on this machine, of whom the operator imports nothing.
        if name == "keys.py" or name.startswith(("sandbox/", "demo/")):
            continue
        found[name] += calls_of(ast.parse(text), "reveal")
        assert '"reveal"' not in text, name
        assert "_SecretValue__value" not in text, name
    assert +found == Counter(ALLOWED)


def test_the_watch_is_meaningful():
    """The walk sees a call, and one that is only named."""
    assert calls_of(ast.parse("a.reveal(); f = b.reveal"), "reveal") == 2


LEFT_OPEN = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""Between the parts of one expression, an error leaves a coroutine behind that nobody awaits."""


async def gives_away(
    call: Callable[[], Awaitable[Any]], plaintext: str, of_type: type[Exception], *, held: Callable[[], bool]
) -> list[Line]:
    """Lines that tell the plaintext in an error of the ports, where an error with these words comes about at them.

    `held`: whether there is a plaintext that a line could tell.
    """
    met: dict[Line, None] = {}

    def meet(line: Line) -> None:
        if held():
            met[line] = None

    with each_line(meet):
        await call()
    assert len(met) > 30
    found = []
    for line in met:

        def strike(here: Line, line: Line = line) -> None:
            if here == line and held():
                raise of_type(plaintext)

        with each_line(strike):
            try:
                await call()
            except KeywrightError as error:  # its words go into statuses, events and logs
                said = f"{error} {error!r} {vars(error)}"
                found += [line] if holds(said, plaintext) else []
            except of_type:  # the worker tells its type, and no word of it
                pass
    return found


@LEFT_OPEN
@pytest.mark.parametrize("of_type", [OSError, ValueError, KeyError])
async def test_an_error_at_any_line_of_a_request_for_a_key_is_told_without_its_words(wire, an_issuer, caplog, of_type):
    """L1, at the platform: whatever fails after its answer has arrived."""
    caplog.set_level(logging.DEBUG)
    plaintext = a_plaintext()
    wire.answers(http(200, created(plaintext)))
    issuer = an_issuer()

    async def call() -> None:
        wire.seen.clear()
        await issuer.create(REQUEST)

    assert await gives_away(call, plaintext, of_type, held=lambda: bool(wire.seen)) == []
    assert plaintext not in caplog.text


@LEFT_OPEN
@pytest.mark.parametrize("of_type", [OSError, ValueError, KeyError])
async def test_an_error_at_any_line_of_a_delivery_is_told_without_its_words(wire, tmp_path, caplog, of_type):
    """L1, at the apiserver: from the rendering of the Secret to the reading of the answer, which holds it again."""
    caplog.set_level(logging.DEBUG)
    plaintext, owner = a_plaintext(), an_owner()
    layout = a_layout(template={"config": "key=${api_key}"})
    delivery = a_delivery(layout, owner, plaintext)
    data = Texts(layout.key, layout.template, delivery.record).render(delivery.plaintext)
    body = stored(create_body(layout, owner, delivery.record, data))
    wire.answers(http(201, body))
    api = await KubeApi.connect(a_kubeconfig(tmp_path / "kubeconfig", wire.url, {"token": "a-token"}))
    try:
        deliver = partial(SecretSink(api).deliver, delivery, None)
        assert await gives_away(deliver, plaintext, of_type, held=lambda: True) == []
        assert not holds(caplog.text, plaintext)
    finally:
        await api.close()
