"""No path leaves its store's prefix: the corpus that is also tried on a real server (test_vault_plane.py)."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keywright.adapters.vault_paths import full_path, policy

HOSTILE = {
    "climbs": "../billing/mistral",
    "climbs in the middle": "a/../../billing/mistral",
    "ends above": "a/..",
    "stays": "./mistral",
    "stays in the middle": "a/./mistral",
    "begins at the root": "/billing/mistral",
    "ends with a slash": "mistral/",
    "has an empty segment": "a//mistral",
    "is empty": "",
    "is a slash": "/",
    "is escaped": "%2e%2e/billing/mistral",
    "is escaped twice": "%252e%252e/billing/mistral",
    "has an escaped slash": "..%2fbilling%2fmistral",
    "has backslashes": "..\\billing\\mistral",
    "has a zero": "mistral\x00",
    "has a line feed": "mistral\nX-Vault-Token: other",
    "has a carriage return": "mistral\r",
    "has an escape": "mistral\x1b[2J",
    "has a delete": "mistral\x7f",
    "has a C1 control": "mistral\x85",
    "has a zero width space": "mis\u200btral",
    "goes from right to left": "mistral\u202e",
    "has a byte order mark": "\ufeffmistral",
    "has a line separator": "mistral\u2028",
    "has fullwidth dots": "\uff0e\uff0e/billing/mistral",
    "has a two dot leader": "\u2025/billing/mistral",
    "has one dot leaders": "\u2024\u2024/billing",
    "has a fullwidth slash": "a\uff0fmistral",
    "has blank dots": " .. /billing",
    "is blank": " ",
    "has half a surrogate pair": "mistral\ud800",
    "is a query": "mistral?version=1",
    "is a fragment": "mistral#x",
    "is a wildcard": "*",
    "is one segment's wildcard": "+/mistral",
    "is too long": "a" * 2000,
    "is too long in bytes": "\u00e9" * 600,
}


@pytest.mark.parametrize("path", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_path_is_refused(path):
    """With a clause that follows the field's name."""
    with pytest.raises(ValueError, match="must"):
        full_path("search/", "search", path)


@pytest.mark.parametrize("path", ["mistral", "search/mistral", "a/b.c/d-e_f", "..a", "a..", "é/ü", "日本/鍵", "a b"])
def test_a_plain_path_stands_below_the_prefix(path):
    """Dots in names, blanks and other alphabets are no danger."""
    assert full_path("keys/{namespace}/", "search", path) == f"keys/search/{path}"
    assert full_path("", "search", path) == path


@given(st.text(max_size=40))
def test_whatever_is_taken_stays_below_the_prefix(path):
    """However often a server or a proxy decodes and normalizes it."""
    try:
        whole = full_path("keys/{namespace}/", "search", path)
    except ValueError:
        return
    for _ in range(3):
        assert posixpath.normpath(whole).startswith("keys/search/")
        assert posixpath.normpath(whole) == whole
        whole = unquote(whole)


def test_policy_lines_can_be_pasted():
    """As vault policy write reads them."""
    lines = policy({"secret/data/a": ["create", "read"], "secret/metadata/a": ["read"]})
    assert lines == (
        'path "secret/data/a" { capabilities = ["create", "read"] } path "secret/metadata/a" { capabilities = ["read"] }'
    )
