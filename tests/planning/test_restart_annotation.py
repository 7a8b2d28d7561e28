"""The annotation by which a workload is restarted: one of its own for each ApiKey, whatever its name."""

from __future__ import annotations

import re

import pytest

from keywright.planning import rollouts


@pytest.mark.parametrize("name", ["search", "a.b-c", "x" * 63, "x" * 64, f"{'y' * 49}.-z{'y' * 100}", "z" * 253])
def test_the_annotation_is_valid_for_every_name(name: str):
    """At most 63 characters of what Kubernetes allows behind the prefix."""
    prefix, _, part = rollouts.annotation_of(name).partition("/")
    assert prefix == "restart.keywright.dev"
    assert re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", part)


def test_long_names_that_begin_alike_have_annotations_of_their_own():
    """The whole name is hashed."""
    assert len({rollouts.annotation_of("x" * 100 + end) for end in ("a", "b", "c")}) == 3
