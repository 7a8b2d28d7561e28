"""What is generated from the models: fresh, structural, explained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from keywright.api.base import RULES
from keywright.api.crd import KINDS, CustomKind, crd_of, main, reasons_page, text_of
from keywright.api.reasons import EXPLANATIONS, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)


def schema_nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node of a schema with its path, the root included."""
    yield path, schema
    for name, below in schema.get("properties", {}).items():
        yield from schema_nodes(below, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield from schema_nodes(schema[keyword], f"{path}[]")


def nodes_of(kind: CustomKind) -> dict[str, dict[str, Any]]:
    """Every node of a kind's schema by its path."""
    return dict(schema_nodes(crd_of(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]))


@each_kind
def test_the_file_is_fresh(kind: CustomKind):
    """crds/ holds what the models say; `make generate` mends it."""
    assert (ROOT / "crds" / f"{kind.plural}.yaml").read_text(encoding="utf-8") == text_of(kind)


def test_there_is_a_file_for_each_kind_and_no_other():
    """A kind that was renamed leaves no file behind."""
    assert {path.name for path in (ROOT / "crds").iterdir()} == {f"{kind.plural}.yaml" for kind in KINDS}


def test_the_page_of_reasons_is_fresh():
    """docs/reasons.md holds every reason; `make generate` mends it."""
    assert (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8") == reasons_page()


def test_every_reason_has_its_sentence():
    """The table of reasons is complete."""
    assert set(EXPLANATIONS) == set(Reason)


@each_kind
def test_the_text_reads_back_as_the_object(kind: CustomKind):
    """Nothing is lost on the way into YAML."""
    assert yaml.safe_load(text_of(kind)) == crd_of(kind)


@each_kind
def test_every_field_is_explained(kind: CustomKind):
    """There are words for each field and for the kind, for kubectl explain; metadata's are the apiserver's own."""
    missing = [
        path
        for path, node in nodes_of(kind).items()
        if path != ".metadata" and not path.endswith("[]") and not node.get("description", "").endswith(".")
    ]
    assert missing == []


@each_kind
def test_the_schema_is_structural(kind: CustomKind):
    """Each node has one type, and no keyword that the apiserver refuses or that would let unknown fields in."""
    refused = {
        "$ref",
        "$defs",
        "anyOf",
        "oneOf",
        "allOf",
        "not",
        "title",
        "const",
        "propertyNames",
        "patternProperties",
    }
    refused |= {"x-kubernetes-preserve-unknown-fields", "nullable"}
    for path, node in nodes_of(kind).items():
        assert isinstance(node.get("type"), str), path
        assert not refused & set(node), path
        assert (
            node["type"] != "object" or path == ".metadata" or "properties" in node or "additionalProperties" in node
        ), path
        assert "default" not in node or node["default"] is not None, path


@each_kind
def test_a_spec_is_bounded(kind: CustomKind):
    """Texts, lists and maps of a spec have limits: the apiserver counts the cost of rules by them."""
    for path, node in nodes_of(kind).items():
        if not path.startswith(".spec"):
            continue
        if node["type"] == "string" and "enum" not in node:
            assert "maxLength" in node, path
        if node["type"] == "array":
            assert "maxItems" in node, path
        if "additionalProperties" in node:
            assert "maxProperties" in node, path


@each_kind
def test_a_status_has_no_defaults(kind: CustomKind):
    """What the apiserver would write into a status, nobody has seen."""
    assert [p for p, node in nodes_of(kind).items() if p.startswith(".status") and "default" in node] == []


@each_kind
def test_every_rule_says_what_to_write(kind: CustomKind):
    """A rule without a message shows its expression; one with a line break is refused by the apiserver."""
    for path, node in nodes_of(kind).items():
        for rule in node.get(RULES, ()):
            assert rule["message"], path
            assert "\n" not in rule["message"], path


@each_kind
def test_conditions_are_a_map_by_type(kind: CustomKind):
    """Two writers of different conditions do not undo each other by server-side apply."""
    conditions = nodes_of(kind)[".status.conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]


def test_the_names_are_the_interface():
    """Group, names and scopes as users type them."""
    crds = [crd_of(kind) for kind in KINDS]
    assert {(crd["metadata"]["name"], crd["spec"]["scope"]) for crd in crds} == {
        ("apikeys.keywright.dev", "Namespaced"),
        ("keyissuers.keywright.dev", "Namespaced"),
        ("clusterkeyissuers.keywright.dev", "Cluster"),
        ("vaultstores.keywright.dev", "Namespaced"),
        ("clustervaultstores.keywright.dev", "Cluster"),
    }
    assert all(crd["spec"]["names"]["categories"] == ["keywright"] for crd in crds)
    assert crds[0]["spec"]["names"]["shortNames"] == ["ak"]


def test_future_times_are_text_columns():
    """A `date` of the future is printed as <invalid> by kubectl; only the age is one."""
    columns = crd_of(KINDS[0])["spec"]["versions"][0]["additionalPrinterColumns"]
    assert [c["name"].upper() for c in columns if "priority" not in c] == [
        "READY",
        "WORKSPACE",
        "KEY",
        "EXPIRES",
        "RENEWS",
        "AGE",
    ]
    assert [c["name"].upper() for c in columns if "priority" in c] == [
        "REASON",
        "LAST USED",
        "REVISION",
        "ISSUER",
        "TARGET",
    ]
    assert [c["name"] for c in columns if c["type"] == "date"] == ["Age"]


def test_the_program_writes_both_folders(tmp_path: Path):
    """`python -m keywright.api.crd CRDS DOCS` is what make generate runs."""
    crds, docs = tmp_path / "crds", tmp_path / "docs"
    crds.mkdir()
    docs.mkdir()
    assert main([str(crds), str(docs)]) == 0
    assert len(list(crds.iterdir())) == len(KINDS)
    assert (docs / "reasons.md").read_text(encoding="utf-8") == reasons_page()


def test_the_program_says_how_it_is_used(capsys: pytest.CaptureFixture[str]):
    """Without a folder it writes nothing."""
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
