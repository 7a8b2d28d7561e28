"""Renders what is generated from the models: crds/*.yaml, docs/reasons.md and docs/status.schema.json. Run as a program it writes them.

Owns how pydantic's JSON Schema becomes a structural schema (references inlined, `X or null` folded, what the apiserver
refuses left out) and what of a kind is no field: names, scope, columns. Fields, defaults and rules are the models'.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from keywright.api import keyissuer, vaultstore
from keywright.api.apikey import ApiKeySpec
from keywright.api.apikey_status import ApiKeyStatus
from keywright.api.base import GROUP, RULES, VERSION
from keywright.api.reasons import EXPLANATIONS, REMEDIES
from keywright.api.report import report_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from keywright.api.base import Kind

__all__ = ["KINDS", "Column", "CustomKind", "crd_of", "main", "reasons_page", "schema_of", "schema_page", "text_of"]

Schema = dict[str, Any]

_HEADER: Final = "# Generated from operator/keywright/api by make generate; edit there.\n"
_TYPE_META: Final = {
    "apiVersion": {
        "type": "string",
        "description": "The API's group and version, keywright.dev/v1alpha1.",
    },
    "kind": {"type": "string", "description": "The object's kind."},
    "metadata": {"type": "object"},  # the apiserver refuses a description here, and gives its own
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of kubectl get. `wide`: with -o wide only."""

    name: str
    json_path: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class CustomKind:
    """What a kind is besides its fields. `rules`: on its spec, where its model serves another kind too."""

    kind: str
    description: str
    spec: type[Kind]
    status: type[Kind]
    cluster_scoped: bool
    columns: tuple[Column, ...]
    short_names: tuple[str, ...] = ()
    rules: tuple[tuple[str, str], ...] = ()

    @property
    def plural(self) -> str:
        """As in URLs and in the CRD's name."""
        return f"{self.kind.lower()}s"


# A time in the future is a string column: kubectl prints a future `date` as <invalid>.
_READY: Final = Column("Ready", '.status.conditions[?(@.type=="Ready")].status')
_REASON: Final = Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', wide=True)
_AGE: Final = Column("Age", ".metadata.creationTimestamp", "date")
_APIKEY_COLUMNS: Final = (
    _READY,
    Column("Workspace", ".spec.workspace"),
    Column("Key", ".status.maskedKey"),
    Column("Expires", ".status.expiresAt"),
    Column("Renews", ".status.renewalTime"),
    _AGE,
    _REASON,
    Column("Last Used", ".status.lastUsed", wide=True),
    Column("Revision", ".status.revision", "integer", wide=True),
    Column("Issuer", ".spec.issuerRef.name", wide=True),
    Column("Target", ".status.target.name", wide=True),
)
_ISSUER_COLUMNS: Final = (
    _READY,
    Column("Keys", ".status.keys", "integer"),
    Column("Strays", ".status.strays", "integer"),
    _AGE,
    _REASON,
    Column("Address", ".spec.mistral.url", wide=True),
    Column("User", ".spec.mistral.user", wide=True),
)
_STORE_COLUMNS: Final = (_READY, Column("Address", ".spec.address"), _AGE, _REASON)

KINDS: Final = (
    CustomKind(
        kind="ApiKey",
        description="An API key: issued, delivered into a Secret or into Vault, rotated, and revoked when this object is deleted.",
        spec=ApiKeySpec,
        status=ApiKeyStatus,
        cluster_scoped=False,
        columns=_APIKEY_COLUMNS,
        short_names=("ak",),
    ),
    CustomKind(
        kind="KeyIssuer",
        description="Where the ApiKeys of one namespace are made, and with which admin key.",
        spec=keyissuer.KeyIssuerSpec,
        status=keyissuer.KeyIssuerStatus,
        cluster_scoped=False,
        columns=_ISSUER_COLUMNS,
        rules=keyissuer.NAMESPACED_RULES,
    ),
    CustomKind(
        kind="ClusterKeyIssuer",
        description="Where ApiKeys of several namespaces are made, with which admin key, and who may have which.",
        spec=keyissuer.KeyIssuerSpec,
        status=keyissuer.KeyIssuerStatus,
        cluster_scoped=True,
        columns=_ISSUER_COLUMNS,
        rules=keyissuer.CLUSTER_RULES,
    ),
    CustomKind(
        kind="VaultStore",
        description="A HashiCorp Vault that ApiKeys of one namespace deliver into.",
        spec=vaultstore.VaultStoreSpec,
        status=vaultstore.VaultStoreStatus,
        cluster_scoped=False,
        columns=_STORE_COLUMNS,
        rules=vaultstore.NAMESPACED_RULES,
    ),
    CustomKind(
        kind="ClusterVaultStore",
        description="A HashiCorp Vault that ApiKeys of several namespaces deliver into, each below its own prefix.",
        spec=vaultstore.ClusterVaultStoreSpec,
        status=vaultstore.VaultStoreStatus,
        cluster_scoped=True,
        columns=_STORE_COLUMNS,
        rules=vaultstore.CLUSTER_RULES,
    ),
)


def crd_of(kind: CustomKind) -> dict[str, Any]:
    """The CustomResourceDefinition of one kind."""
    names: dict[str, Any] = {
        "kind": kind.kind,
        "listKind": f"{kind.kind}List",
        "plural": kind.plural,
        "singular": kind.kind.lower(),
        "categories": ["keywright"],
    }
    if kind.short_names:
        names["shortNames"] = list(kind.short_names)
    spec, status = schema_of(kind.spec), _without_defaults(schema_of(kind.status))
    for rule, message in kind.rules:
        spec.setdefault(RULES, []).append({"rule": rule, "message": message})
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": names,
            "scope": "Cluster" if kind.cluster_scoped else "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(column) for column in kind.columns],
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "description": kind.description,
                            "required": ["spec"],
                            "properties": {**_TYPE_META, "spec": spec, "status": status},
                        }
                    },
                }
            ],
        },
    }


def schema_of(model: type[Kind]) -> Schema:
    """The structural schema of a model: no references, no unions, no titles."""
    raw = model.model_json_schema()
    return _structural(raw, raw.get("$defs", {}))


def text_of(kind: CustomKind) -> str:
    """The file in crds/ of one kind."""
    return _HEADER + yaml.dump(crd_of(kind), Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def reasons_page() -> str:
    """docs/reasons.md."""
    rows = "".join(f"| `{reason}` | {sentence} | {REMEDIES[reason]} |\n" for reason, sentence in EXPLANATIONS.items())
    return (
        "<!-- Generated from operator/keywright/api/reasons.py by make generate; edit there. -->\n"
        "# Reasons\n\n"
        "The same word stands in the condition, the event, the log line and the metric.\n\n"
        f"| reason | what it means | what to do |\n| --- | --- | --- |\n{rows}"
    )


def schema_page() -> str:
    """docs/status.schema.json."""
    return json.dumps(report_schema(), indent=2) + "\n"


def main(arguments: Sequence[str]) -> int:
    """`crd.py CRDS [DOCS]`: write the CRDs into one folder and, where given, the page of reasons and status' schema into another."""
    if len(arguments) not in {1, 2}:
        sys.stderr.write("usage: python -m keywright.api.crd CRDS [DOCS]\n")
        return 2
    for kind in KINDS:
        (Path(arguments[0]) / f"{kind.plural}.yaml").write_text(text_of(kind), encoding="utf-8")
    for docs in arguments[1:]:
        (Path(docs) / "reasons.md").write_text(reasons_page(), encoding="utf-8")
        (Path(docs) / "status.schema.json").write_text(schema_page(), encoding="utf-8")
    return 0


class _Dumper(yaml.SafeDumper):
    """Writes a part that occurs twice twice: anchors would make the file hard to read."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - every part is written in full
        return True


def _column(column: Column) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.json_path}
    return {**shown, "priority": 1} if column.wide else shown


def _structural(node: Mapping[str, Any], definitions: Mapping[str, Schema]) -> Schema:
    """`node` inlined and folded; what stands beside a reference or a union goes before what stands in it."""
    found = dict(node)
    if reference := found.pop("$ref", None):
        found = {**definitions[reference.rpartition("/")[2]], **found}
    if choices := found.pop("anyOf", None):
        (choice,) = (c for c in choices if c.get("type") != "null")
        return _structural({**choice, **found}, definitions)
    schema: Schema = {k: v for k, v in found.items() if k not in {"$defs", "title", "propertyNames"}}
    if schema.get("default", ...) is None:
        del schema["default"]
    if schema.get("type") == "integer":
        schema["format"] = "int64"
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if "properties" in schema:
        schema["properties"] = {k: _structural(v, definitions) for k, v in schema["properties"].items()}
    for below in ("items", "additionalProperties"):
        if isinstance(schema.get(below), dict):
            schema[below] = _structural(schema[below], definitions)
    return {k: schema[k] for k in sorted(schema, key=_rank)}


_ORDER: Final = ("description", "type", "format", "enum", "default", "required", "properties", "items")


def _rank(keyword: str) -> tuple[int, str]:
    """Keywords in the order of a reader's questions; rules, which are long, come last."""
    return (_ORDER.index(keyword) if keyword in _ORDER else len(_ORDER) + (keyword == RULES), keyword)


def _without_defaults(schema: Schema) -> Schema:
    """A status says what was seen: a default there would be the apiserver's invention."""
    bare = {k: v for k, v in schema.items() if k != "default"}
    if "properties" in bare:
        bare["properties"] = {k: _without_defaults(v) for k, v in bare["properties"].items()}
    if "items" in bare:
        bare["items"] = _without_defaults(bare["items"])
    return bare


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
