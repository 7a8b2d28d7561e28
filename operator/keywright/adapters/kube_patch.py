"""JSON merge patches (RFC 7386) between two states of an object. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["dropped_field", "merge_diff"]


def merge_diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The smallest merge patch that makes `new` of `old`: removed fields are null, lists are replaced whole.

    A merge patch cannot set a field to null, so `new` holds none (None in it counts as absent).
    """
    patch: dict[str, Any] = {key: None for key in old if old[key] is not None and new.get(key) is None}
    for key, wanted in new.items():
        if wanted is None:
            continue
        had = old.get(key)
        if isinstance(had, dict) and isinstance(wanted, dict):
            if inner := merge_diff(had, wanted):
                patch[key] = inner
        elif had != wanted or type(had) is not type(wanted):
            patch[key] = wanted
    return patch


def dropped_field(wanted: Any, got: Any, path: str = "status") -> str | None:
    """The path of the first field that was sent and did not come back as sent; None: everything did.

    More may have come back: a newer CRD sets defaults.
    """
    if isinstance(wanted, dict):
        if not isinstance(got, dict):
            return path
        lost = (dropped_field(value, got.get(key), f"{path}.{key}") for key, value in wanted.items())
        return next((field for field in lost if field), None)
    if isinstance(wanted, list):
        if not isinstance(got, list) or len(got) != len(wanted):
            return path
        lost = (
            dropped_field(one, other, f"{path}[{i}]") for i, (one, other) in enumerate(zip(wanted, got, strict=True))
        )
        return next((field for field in lost if field), None)
    return None if wanted == got else path
