"""Two sinks, one set of promises: whatever is shown of a key is shown in a Secret and in Vault, or says why not.

Here the files are read, so that no plane is needed and nobody forgets one of the sinks for a new scenario.
"""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.e2e.together import Scenarios
from tests.sinks import SINKS, Alone, alone, alone_of, case

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).parent
ELSEWHERE = {
    "e2e/test_admission.py": "The apiserver judges ApiKeys by these policies before any target is there.",
    "e2e/test_canary.py": "Where plaintexts stand in etcd; of those in Vault: test_vault_life.py.",
    "e2e/test_cost.py": "Requests at the apiserver; a key in Vault costs it fewer, and Vault's are counted in its adapter's tests.",
    "e2e/test_deputy.py": "Who may have a key of which workspace is decided by the issuer's grants alone.",
    "e2e/test_deputy_vault.py": "Which path of which store an ApiKey may name: there is no such question of Secrets.",
    "e2e/test_drill.py": "What keywright doctor says of ten broken set-ups, of Vault's and of Secrets' among them.",
    "e2e/test_fairness.py": "Whose turn it is is decided before any target is looked at.",
    "e2e/test_hostile.py": "Fields of every kind, Vault's among them, in ApiKeys that are all refused or harmless.",
    "e2e/test_kubectl.py": "What kubectl shows of ApiKeys, whatever their target is.",
    "e2e/test_leader.py": "Which replica works is decided by a Lease, and asked in one place before each write to either sink.",
    "e2e/test_metrics_auth.py": "Who may read the metrics.",
    "e2e/test_monitoring.py": "Series and panels, of requests to Vault among them.",
    "e2e/test_rate_limit.py": "How fast the platform is asked.",
    "e2e/test_rights.py": "Rights at the apiserver, those for stores among them.",
    "e2e/test_status.py": "What a person is told of ApiKeys, whatever their target is.",
    "e2e/test_sweep.py": "Keys at the platform.",
    "e2e/test_time_travel.py": "When a key is due is computed from its dates.",
    "e2e/test_tokens.py": "Tokens of ServiceAccounts, which Vault alone asks for.",
}
"""Files that show something else than what becomes of keys in their targets, and what."""
SUITE = sorted(
    name
    for folder in ("e2e", "chaos")
    for path in (TESTS / folder).glob("test_*.py")
    if (name := f"{folder}/{path.name}") not in ELSEWHERE
)


def alone_or_both_in(source: str) -> Iterator[tuple[str, bool]]:
    """Each test of a file that is no row of scenarios, and whether it knows of both sinks, by itself or by a fixture of the file."""
    functions = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    both = {name for name, node in functions.items() if "SINKS" in _names(node)}
    for name, node in functions.items():
        arguments = {argument.arg for argument in node.args.args}
        if name.startswith("test_") and "scenario" not in arguments:
            yield name, name in both or bool(both & arguments)


def _names(node: ast.AST) -> set[str]:
    return {found.id for found in ast.walk(node) if isinstance(found, ast.Name)}


@pytest.mark.parametrize("name", SUITE)
def test_whatever_is_shown_is_shown_for_both_sinks_or_says_why_not(name: str):
    """Scenarios are collected for both unless they say so in a sentence, and so is every other test of the file."""
    module = importlib.import_module(f"tests.{name.removesuffix('.py').replace('/', '.')}")
    reasons: dict[str, Alone | None] = {}
    scenarios = getattr(module, "scenarios", None)
    if scenarios is not None:
        names = {one.rpartition("-")[0] for one in scenarios.names}
        whole = {one for one in names if all(f"{one}-{sink}" in scenarios.names for sink in SINKS)}
        reasons |= {one: scenarios.alone.get(one) for one in names - whole}
    for test, both in alone_or_both_in((TESTS / name).read_text("utf-8")):
        if not both:
            reasons[test] = alone_of(getattr(module, test))
    assert [one for one, why in reasons.items() if why is None] == []
    for why in filter(None, reasons.values()):
        assert why.sink in SINKS
        assert len(why.why.split()) > 3, why
        assert why.why.endswith("."), why


def test_nothing_is_left_out_that_there_is():
    """A file that is named is there."""
    assert [name for name in ELSEWHERE if not (TESTS / name).exists()] == []
    assert len(SUITE) > 12


def test_a_scenario_is_collected_for_each_sink_unless_it_says_why_not():
    """By itself, by its case, or by its file."""
    scenarios = Scenarios()

    @scenarios
    def everywhere(_: object) -> None:
        """Both."""

    @scenarios
    @alone("secret", "Vault has none of it.")
    def somewhere(_: object) -> None:
        """One."""

    @scenarios.of(one=1, two=case("vault", "Secrets have none of it.", 2))
    def with_cases(_: object, case: int) -> None:
        """One of its cases is one's."""

    assert scenarios.names == [
        "everywhere-secret",
        "everywhere-vault",
        "somewhere-secret",
        "with_cases-one-secret",
        "with_cases-one-vault",
        "with_cases-two-vault",
    ]
    assert scenarios.alone.keys() == {"somewhere", "with_cases-two"}

    of_one = Scenarios(alone=Alone("vault", "Secrets have none of it."))
    of_one(everywhere)
    assert of_one.names == ["everywhere-vault"]


def test_one_who_forgets_vault_is_found():
    """A test that knows of one sink is told from those that know of both."""
    source = """
@pytest.fixture
def teams(plane): return [a_team(plane, sink) for sink in SINKS]
def test_by_fixture(teams): pass
@pytest.mark.parametrize("sink", SINKS)
def test_by_parameter(sink): pass
def test_forgotten(plane): pass
def test_scenarios(scenario, outcome): pass
"""
    assert dict(alone_or_both_in(source)) == {
        "test_by_fixture": True,
        "test_by_parameter": True,
        "test_forgotten": False,
    }
