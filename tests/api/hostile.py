"""What somebody might write into a field to do harm: each text in each field, one at a time."""

from __future__ import annotations

import copy
import itertools
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FIELDS", "TEXTS", "Case", "cases", "long_texts"]

TEXTS: Final = {
    # Log lines of one's own, headers, terminals.
    "newline": 'a\n{"level":"error","message":"forged"}',
    "carriage return": "a\r\nX-Api-Key: forged",
    "colour": "\x1b[31mred\x1b[0m",
    "terminal title": "\x1b]0;owned\x07",
    "c1 control": "a\x9b31mred",
    "next line": "a\x85b\u2028c\u2029d",
    "nul": "a\x00b",
    "backspaces": "admin\x08\x08\x08\x08\x08guest",
    "tab": "a\tb",
    # Text that is read in another direction, or as another text.
    "right to left": "abc\u202egnp.exe",
    "isolates": "a\u2066b\u2069",
    "zero width": "search\u200b-prod",
    "byte order mark": "\ufeffsearch-prod",
    "homoglyph": "se\u0430rch-prod",
    "full width": "\uff53earch-prod",
    "combining": "e\u0301" * 40,
    "astral": "\U0001f511" * 20,
    # Templates, formats, shells, queries.
    "our template": "${api_key}",
    "unknown variable": "${admin_key}",
    "half a template": "${api_key",
    "dollars": "$$$$${api_key}$",
    "jinja": "{{ 7 * 7 }}",
    "python format": "{0.__class__.__mro__}",
    "percent": "%s%s%n%(levelname)s",
    "jndi": "${jndi:ldap://example.com/a}",
    "shell": "$(id); `id` && id | id",
    "html": "<script>alert(1)</script>",
    "sql": "' OR '1'='1' --",
    "rich markup": "[bold red]x[/] [link=https://example.com]y[/link]",
    # Paths and addresses.
    "climbing": "../../etc/passwd",
    "encoded climbing": "..%2f..%2fusers",
    "backslashes": "..\\..\\users",
    "absolute": "/v1/admin/users",
    "query": "a?workspace_id=other#b",
    "metadata service": "http://169.254.169.254/latest/meta-data/",
    "metadata by name": "https://metadata.google.internal/",
    "decimal address": "https://2130706433/",
    "user in address": "https://api.mistral.ai@example.com/",
    "file": "file:///etc/passwd",
    # Documents.
    "yaml tag": "!!python/object/apply:os.system ['id']",
    "yaml bomb": "&a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]",
    "yaml merge": "<<: *default",
    "json": '{"$ref": "#"}',
    "xml": '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    # What means something to us.
    "a tag": "x [kw/c1u5ter0/0d3a1c2b/aaaaaaaa]",
    "a key": "HQSxHQSxHQSxHQSxHQSxHQSxHQSxHQSx",
    "a star": "*",
    "ours": "keywright.dev/managed",
    "kubernetes'": "kubernetes.io/service-account.name",
    # Nothing, nearly nothing, and what parsers take for something else.
    "empty": "",
    "blank": " ",
    "null": "null",
    "yes": "yes",
    "infinite": "1e999",
    "negative": "-1d",
    "huge number": "9" * 40,
    "date that is none": "2026-02-30",
    "regex": "(a+)+$" + "a" * 30,
}


def long_texts() -> dict[str, str]:
    """Past every limit: made when asked for."""
    return {"a thousand letters": "x" * 1000, "a mebibyte": "x" * (1 << 20), "many lines": "a\n" * 50_000}


_REF: Final = {"name": "admin", "key": "key"}
_GOOD: Final[dict[str, dict[str, Any]]] = {
    "ApiKey": {"issuerRef": {"name": "mistral"}, "workspace": "search-prod", "target": {"secret": {"name": "case"}}},
    "KeyIssuer": {"mistral": {"user": "dev@example.com", "adminKeySecretRef": _REF}},
    "VaultStore": {"address": "https://vault:8200", "auth": {"tokenSecretRef": _REF}},
}

FIELDS: Final[dict[str, tuple[str, tuple[Any, ...]]]] = {
    # KEY: the text is the key of a map; in a list it is the one element.
    "label": ("ApiKey", ("spec", "label")),
    "workspace": ("ApiKey", ("spec", "workspace")),
    "issuer": ("ApiKey", ("spec", "issuerRef", "name")),
    "validity": ("ApiKey", ("spec", "expiry", "validity")),
    "date": ("ApiKey", ("spec", "expiry", "date")),
    "schedule": ("ApiKey", ("spec", "rotation", "schedule")),
    "time zone": ("ApiKey", ("spec", "rotation", "timeZone")),
    "overlap": ("ApiKey", ("spec", "rotation", "overlap")),
    "renew before": ("ApiKey", ("spec", "rotation", "renewBefore")),
    "secret": ("ApiKey", ("spec", "target", "secret", "name")),
    "data key": ("ApiKey", ("spec", "target", "secret", "key")),
    "template": ("ApiKey", ("spec", "target", "secret", "template", "config")),
    "template's key": ("ApiKey", ("spec", "target", "secret", "template", "KEY")),
    "secret's label": ("ApiKey", ("spec", "target", "secret", "labels", "team")),
    "secret's label's key": ("ApiKey", ("spec", "target", "secret", "labels", "KEY")),
    "secret's annotation": ("ApiKey", ("spec", "target", "secret", "annotations", "note")),
    "secret's annotation's key": ("ApiKey", ("spec", "target", "secret", "annotations", "KEY")),
    "type": ("ApiKey", ("spec", "target", "secret", "type")),
    "vault path": ("ApiKey", ("spec", "target", "vault", "path")),
    "vault field": ("ApiKey", ("spec", "target", "vault", "field")),
    "own annotation": ("ApiKey", ("metadata", "annotations", "note")),
    "own label": ("ApiKey", ("metadata", "labels", "team")),
    "rotate": ("ApiKey", ("metadata", "annotations", "keywright.dev/rotate")),
    "compromised": ("ApiKey", ("metadata", "annotations", "keywright.dev/compromised")),
    "name": ("ApiKey", ("metadata", "name")),
    "url": ("KeyIssuer", ("spec", "mistral", "url")),
    "check url": ("KeyIssuer", ("spec", "mistral", "checkUrl")),
    "admin path": ("KeyIssuer", ("spec", "mistral", "adminPath")),
    "user": ("KeyIssuer", ("spec", "mistral", "user")),
    "admin secret": ("KeyIssuer", ("spec", "mistral", "adminKeySecretRef", "name")),
    "admin data key": ("KeyIssuer", ("spec", "mistral", "adminKeySecretRef", "key")),
    "granted workspace": ("KeyIssuer", ("spec", "grants", 0, "workspaces", 0)),
    "address of a vault": ("VaultStore", ("spec", "address")),
    "prefix": ("VaultStore", ("spec", "prefix")),
}

Case = tuple[str, dict[str, Any]]
"""What it is called, and the object."""


def cases() -> Iterator[Case]:
    """Each text in each field of an object that is good but for that."""
    for number, (field, (kind, path)) in enumerate(FIELDS.items()):
        for index, (called, text) in enumerate((TEXTS | long_texts()).items()):
            obj: dict[str, Any] = {
                "apiVersion": "keywright.dev/v1alpha1",
                "kind": kind,
                "metadata": {"name": f"case-{number}-{index}"},
                "spec": copy.deepcopy(_GOOD[kind]),
            }
            if kind == "ApiKey":
                obj["spec"]["target"]["secret"]["name"] = f"case-{number}-{index}"
            if "vault" in path:
                vault = {"storeRef": {"kind": "VaultStore", "name": "vault"}, "path": "a/b"}
                obj["spec"]["target"] = {"vault": vault}
            _put(obj, path, text)
            yield f"{field}: {called}", obj


def _put(obj: dict[str, Any], path: tuple[Any, ...], text: str) -> None:
    here: Any = obj
    for step, after in itertools.pairwise(path):
        if step == 0:
            here.append({})
        elif step not in here:
            here[step] = [] if after == 0 else {}
        here = here[step]
    match path[-1]:
        case "KEY":
            here[text] = "${api_key}" if "template" in path else "x"
        case 0:
            here.append(text)
        case last:
            here[last] = text
