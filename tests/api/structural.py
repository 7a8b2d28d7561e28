"""Values that a structural schema describes: drawn at random for Hypothesis, or one with every field."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from hypothesis import strategies as st

from keywright.api.base import RULES

_TEXT_RULE = re.compile(r"self\.matches\(r'(.*)'\)")
_KEYS_RULE = re.compile(r"self\.all\(k, k\.matches\(r'(.*)'\)\)")

# ASCII with its control characters, and a few from beyond: Hypothesis needs seconds to lay out all of Unicode.
_CHARACTERS = st.sampled_from([*map(chr, range(128)), *"\x85é€\u2028😀"])


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """JSON values that keep to types, limits and patterns; rules across fields may be broken."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "object" if "properties" in schema:
            required = set(schema.get("required", ()))
            fields = {name: values(below) for name, below in schema["properties"].items()}
            return st.fixed_dictionaries(
                {name: drawn for name, drawn in fields.items() if name in required},
                optional={name: drawn for name, drawn in fields.items() if name not in required},
            )
        case "object" if "additionalProperties" in schema:
            keys = _matching(pattern_of(schema, _KEYS_RULE) or ".")
            return st.dictionaries(keys, values(schema["additionalProperties"]), max_size=3)
        case "array":
            least = schema.get("minItems", 0)
            return st.lists(values(schema["items"]), min_size=least, max_size=least + 2)
        case "string":
            return _texts(schema)
        case "integer":
            return st.integers(schema.get("minimum", 0), schema.get("maximum", 2**53))
        case "boolean":
            return st.booleans()
        case other:
            raise AssertionError(f"no values for {other}: {schema}")


def fullest(schema: dict[str, Any]) -> Any:
    """One value with every field; a list has one item. For schemas without patterns, such as a status."""
    if "enum" in schema:
        return schema["enum"][0]
    match schema["type"], schema.get("format"):
        case "object", _:
            return {name: fullest(below) for name, below in schema["properties"].items()}
        case "array", _:
            return [fullest(schema["items"])]
        case "string", "date-time":
            return "2026-11-24T13:42:00Z"
        case "string", "date":
            return "2026-11-24"
        case "string", _:
            return "text"
        case "integer", _:
            return 1
        case "boolean", _:
            return True
        case other:
            raise AssertionError(f"no value for {other}: {schema}")


def pattern_of(schema: dict[str, Any], rule: re.Pattern[str] = _TEXT_RULE) -> str | None:
    """The pattern that a text, or with _KEYS_RULE a map's keys, must match."""
    found = (rule.fullmatch(each["rule"]) for each in schema.get(RULES, ()))
    return next((match[1] for match in found if match), schema.get("pattern"))


def _texts(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    match schema.get("format"):
        case "date-time":
            return st.datetimes().map(lambda t: t.isoformat(timespec="seconds") + "Z")
        case "date":
            return st.dates().map(lambda day: day.isoformat())
    longest = schema.get("maxLength", 40)
    if pattern := pattern_of(schema):
        return _matching(pattern).filter(lambda text: len(text) <= longest)
    return st.text(_CHARACTERS, min_size=schema.get("minLength", 0), max_size=min(longest, 40))


@cache
def _matching(pattern: str) -> st.SearchStrategy[str]:
    return st.from_regex(pattern, fullmatch=True, alphabet=_CHARACTERS)
