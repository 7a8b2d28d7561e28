"""The reference's OpenAPI document with the overlay laid over it: what the sandbox promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
REFERENCE = HERE / "mistral-admin-openapi.yaml"
OVERLAY = HERE / "overlay.yaml"
METHODS = ("get", "post", "put", "patch", "delete")


def reference() -> dict[str, Any]:
    """The document as it was published."""
    return yaml.safe_load(REFERENCE.read_text(encoding="utf-8"))


def contract() -> dict[str, Any]:
    """The reference and what the overlay adds; an addition never replaces what stands there."""
    document = reference()
    overlay = yaml.safe_load(OVERLAY.read_text(encoding="utf-8"))
    for operation in operations(document).values():
        for status, response in overlay["everywhere"]["responses"].items():
            operation["responses"].setdefault(status, response)
    for narrowed in overlay["narrowed"]:
        parameters = document["paths"][narrowed["path"]]["get"]["parameters"]
        [schema] = [one["schema"] for one in parameters if one["name"] == narrowed["parameter"]]
        [text] = [kind for kind in schema["anyOf"] if kind["type"] == "string"]
        text["pattern"] = narrowed["pattern"]
    _add(document, {"paths": overlay["paths"], "components": overlay["components"]})
    return document


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Each operation by its method and path."""
    return {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    }


def _add(onto: dict[str, Any], extra: dict[str, Any]) -> None:
    for name, value in extra.items():
        if isinstance(onto.get(name), dict):
            _add(onto[name], value)
        else:
            assert name not in onto, f"the overlay would replace {name}"
            onto[name] = value
