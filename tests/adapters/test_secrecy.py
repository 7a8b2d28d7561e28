"""Where a plaintext is uncovered: the places are few, and counted."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import keywright

ROOM = Path(keywright.__file__).parent

ALLOWED = {
    # The texts of a Secret: rendered to be sent at once, and compared with what stands there.
    "adapters/kube_template.py": 2,
    # The header of a request: the admin key, and the key that is checked.
    "adapters/httpclient.py": 2,
    # A CA bundle: it comes from a Secret or ConfigMap as the admin key does, and is no secret.
    "adapters/mistral.py": 1,
    "adapters/vault_stores.py": 1,
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
