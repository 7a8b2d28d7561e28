"""The installed CRDs, held against those that this version brings. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keywright.api.base import GROUP, VERSION
from keywright.api.crd import KINDS, crd_of
from keywright.planning.diagnosis.finding import Check, note, ok, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from keywright.api.crd import CustomKind
    from keywright.planning.diagnosis.finding import Finding

__all__ = ["CRDS", "of_kinds", "of_served"]

CRDS: Final = tuple(f"{kind.plural}.{GROUP}" for kind in KINDS)
"""Their names."""

_APPLY: Final = "kubectl apply --server-side -f crds"


def of_kinds(installed: Mapping[str, Mapping[str, Any] | None]) -> list[Finding]:
    """By CRD name; None: not there."""
    missing = [name for name in CRDS if installed[name] is None]
    found = [_missing(missing)] if missing else []
    for kind in KINDS:
        crd = installed[f"{kind.plural}.{GROUP}"]
        if crd is not None:
            found += _of_kind(kind, crd)
    if not found:
        found = [ok(Check.KINDS, f"{len(CRDS)} CRDs, all of them as this version's")]
    return found


def of_served(resources: frozenset[str]) -> list[Finding]:
    """For who may not read CRDs: what the apiserver says that it serves of this group and version."""
    missing = [f"{kind.plural}.{GROUP}" for kind in KINDS if kind.plural not in resources]
    if missing:
        return [_missing(missing)]
    return [
        ok(Check.KINDS, f"{len(CRDS)} CRDs are served (whether they are this version's, who may get CRDs can tell)")
    ]


def _missing(names: list[str]) -> Finding:
    which = ", ".join(names) if len(names) < len(CRDS) else f"all {len(CRDS)} of {GROUP}"
    return wrong(
        Check.KINDS, f"CRDs are not installed: {which}", f"{_APPLY}, which leaves existing objects as they are"
    )


def _of_kind(kind: CustomKind, crd: Mapping[str, Any]) -> list[Finding]:
    name = f"{kind.plural}.{GROUP}"
    if "deletionTimestamp" in crd["metadata"]:
        return [
            wrong(
                Check.KINDS,
                f"the CRD {name} is being deleted, and all {kind.kind}s with it: their keys are revoked first",
                f"let it end, then {_APPLY}; a deletion cannot be taken back",
            )
        ]
    version = next((v for v in crd["spec"]["versions"] if v["name"] == VERSION), None)
    if version is None or not version["served"]:
        return [wrong(Check.KINDS, f"the CRD {name} does not serve {VERSION}", _APPLY)]
    conditions = {c["type"]: c for c in (crd.get("status") or {}).get("conditions") or ()}
    for wanted in ("NamesAccepted", "Established"):
        condition = conditions.get(wanted)
        if condition is not None and condition["status"] != "True":
            why = condition.get("message") or condition.get("reason") or wanted
            return [wrong(Check.KINDS, f"the CRD {name} is not in force: {why}", f"kubectl describe crd {name}")]
    return _of_schema(kind, name, version["schema"]["openAPIV3Schema"])


def _of_schema(kind: CustomKind, name: str, installed: Mapping[str, Any]) -> list[Finding]:
    expected = crd_of(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    ours, theirs = dict(_fields(expected)), dict(_fields(installed))
    lacks = [path for path in ours if path not in theirs]
    beyond = [path for path in theirs if path not in ours]
    if lacks:
        shown = ", ".join(lacks[:3]) + (", …" if len(lacks) > 3 else "")  # noqa: PLR2004 - as many as a line names
        return [wrong(Check.KINDS, f"the CRD {name} is older than this keywright: it lacks {shown}", _APPLY)]
    if beyond:
        text = f"the CRD {name} is newer than this keywright: it has {beyond[0]}"
        return [note(Check.KINDS, text, "use the keywright of the version that is installed")]
    other = [path for path, facets in ours.items() if facets != theirs[path]]
    if other:
        text = f"the CRD {name} is not this version's: its rules for {other[0]} differ"
        return [wrong(Check.KINDS, text, _APPLY)]
    return []


def _fields(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each field by its path, with what is asked of it; descriptions ask nothing."""
    for name, below in (schema.get("properties") or {}).items():
        if not path and name not in ("spec", "status"):
            continue  # metadata, kind and apiVersion are the apiserver's
        at = f"{path}.{name}" if path else name
        yield at, {k: v for k, v in below.items() if k not in ("description", "properties", "items")}
        yield from _fields(below, at)
        if isinstance(below.get("items"), dict):
            yield from _fields(below["items"], f"{at}[]")
