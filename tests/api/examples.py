"""Objects that the kinds accept, and for each rule a value that breaks it and nothing else."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BREAKING", "GOOD", "an_object", "broken", "having"]

_SECRET_REF: Final = {"name": "mistral-admin", "key": "admin-key"}
_REF_ELSEWHERE: Final = {**_SECRET_REF, "namespace": "keywright-system"}
_SELECTOR: Final = {
    "matchLabels": {"example.com/team": "search"},
    "matchExpressions": [
        {"key": "stage", "operator": "In", "values": ["prod"]},
        {"key": "frozen", "operator": "DoesNotExist"},
    ],
}
_SECRET: Final = {"name": "mistral-key"}
_VAULT: Final = {"storeRef": {"kind": "ClusterVaultStore", "name": "vault"}, "path": "search/mistral"}


def _api_key(**changes: Any) -> dict[str, Any]:
    return {"issuerRef": {"name": "mistral"}, "workspace": "search-prod", "target": {"secret": _SECRET}} | changes


def _issuer(ref: dict[str, str], grant: dict[str, Any], **mistral: Any) -> dict[str, Any]:
    return {
        "mistral": {
            "url": "https://console.mistral.ai:8443/gateway",
            "adminPath": "/api/admin",
            "checkUrl": "https://[2001:db8::1]/",
            "authHeader": "x-api-key",
            "user": "someone@example.com",
            "adminKeySecretRef": ref,
        }
        | mistral,
        "grants": [{"workspaces": ["search-prod", "search-*"], "maxValidity": "90d", "maxKeys": 20} | grant],
        "onGrantLost": "Revoke",
        "checkNewKeys": False,
        "requests": {"perSecond": 1, "burst": 1, "timeout": "30s"},
        "inventoryInterval": "1h30m",
    }


def _store(auth: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "address": "https://vault:8200",
        "tlsServerName": "vault.example.com",
        "vaultNamespace": "team-a",
        "mount": "kv/secret",
        "auth": auth,
        "checkInterval": "1m",
    } | changes


_KUBERNETES: Final = {
    "kubernetes": {
        "mount": "kubernetes",
        "role": "keywright",
        "serviceAccountRef": {"name": "default", "audiences": ["vault"]},
    }
}
_NAMES: Final = {"names": ["search"]}


def _app_role(ref: dict[str, str]) -> dict[str, Any]:
    return {"appRole": {"mount": "approle", "roleId": "made-up", "secretIdSecretRef": ref}}


GOOD: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "ApiKey": (
        _api_key(),
        _api_key(expiry={"validity": "90d"}),
        _api_key(
            issuerRef={"kind": "ClusterKeyIssuer", "name": "mistral.eu"},
            workspace="Recherche d'été 🔎",
            label="L" * 220,
            expiry={"validity": "90d"},
            rotation={
                "renewBefore": "15d",
                "schedule": "0 3 1 * mon-FRI",
                "timeZone": "America/Argentina/Buenos_Aires",
                "overlap": "0s",
                "restart": [{"kind": "Deployment", "name": "search-api"}, {"kind": "Rollout", "name": "search-api"}],
            },
            deletionPolicy="Retain",
            suspend=True,
        ),
        _api_key(expiry={"date": "2028-02-29", "afterEnd": "Clean"}, target={"vault": _VAULT}),
        _api_key(
            expiry={"validity": "30d"},
            rotation={"renewBefore": "33%"},
            target={
                "secret": {
                    **_SECRET,
                    "template": {"MISTRAL_API_KEY": "${api_key}", "config.ini": "$${api_key} costs $$5: ${key_id}"},
                    "labels": {"example.com/team": "search", "stage": ""},
                    "annotations": {"example.com/note": "Any text, of any length up to 4096: é"},
                    "type": "example.com/mistral",
                    "adopt": True,
                }
            },
        ),
        _api_key(
            target={
                "vault": {**_VAULT, "template": {"config.ini": "${api_key}\n${expires_at} ${workspace}"}, "merge": True}
            }
        ),
        _api_key(target={"secret": {**_SECRET, "key": ".mistral_key-1"}}),
        _api_key(target={"vault": {**_VAULT, "field": "clé"}}),
    ),
    "KeyIssuer": (
        {"mistral": {"user": "5c1f0c4e-6d0c-4b8e-9f0e-1d2c3b4a5968", "adminKeySecretRef": _SECRET_REF}},
        _issuer(_SECRET_REF, {}, caBundleSecretRef=_SECRET_REF),
        _issuer(_SECRET_REF, {}, caBundleConfigMapRef={"name": "ca", "key": "ca.crt"}),
    ),
    "ClusterKeyIssuer": (
        {"mistral": {"user": "dev@example.com", "adminKeySecretRef": _REF_ELSEWHERE}},
        _issuer(_REF_ELSEWHERE, {"namespaces": _NAMES, "requireExpiry": True}, caBundleSecretRef=_REF_ELSEWHERE),
        _issuer(_REF_ELSEWHERE, {"namespaces": {"selector": {}}}, caBundleConfigMapRef=_REF_ELSEWHERE),
        _issuer(_REF_ELSEWHERE, {"namespaces": {"names": ["a"], "selector": _SELECTOR}}),
    ),
    "VaultStore": (
        {"address": "http://127.0.0.1:8200", "auth": {"tokenSecretRef": _SECRET_REF}},
        _store(_KUBERNETES, caBundleSecretRef=_SECRET_REF, prefix="team-a/", keepVersions=True),
        _store(_app_role(_SECRET_REF), caBundleConfigMapRef=_SECRET_REF),
    ),
    "ClusterVaultStore": (
        {"address": "https://vault", "auth": {"tokenSecretRef": _REF_ELSEWHERE}},
        _store(_KUBERNETES, caBundleSecretRef=_REF_ELSEWHERE, prefix="keys/{namespace}/", namespaces=_NAMES),
        _store(_app_role(_REF_ELSEWHERE), caBundleConfigMapRef=_REF_ELSEWHERE, namespaces={"selector": _SELECTOR}),
    ),
}
"""Specs that the apiserver takes: the smallest of each kind first, and together every field."""

_ELSEWHERE: Final = {"namespace": "elsewhere"}
_NO_NAMESPACE: Final = {"namespace": None}
_CA: Final = {"name": "ca", "key": "ca.crt"}

BREAKING: Final[dict[str, tuple[Any, ...]]] = {
    "rotation.renewBefore counts back from an expiry": ({"expiry": None, "rotation": {"renewBefore": "15d"}},),
    "rotation.renewBefore has no effect beside expiry.date": (
        {"expiry": {"validity": None, "date": "2027-01-31"}, "rotation": {"renewBefore": "15d"}},
    ),
    "rotation.renewBefore must be shorter than expiry.validity": (
        {"expiry": {"validity": "15d"}, "rotation": {"renewBefore": "15d"}},
        {"expiry": {"validity": "1d"}, "rotation": {"renewBefore": "24h"}},
    ),
    "write an object's name": ("Upper", "a_b", "-a", "a-", "a..b", "", "a/b", "a\n"),
    "write the workspace's name or uuid": ("", "  ", "a\nb", "a\x7fb", "\x85"),
    "a label may not contain [kw/": ("before [kw/ after", "[kw/"),
    "write a label of one line": ("", " ", "a\nb", "a\tb", "a\x00b", "a\x9fb", "a\u202eb", "a\u200bb"),
    "expiry is empty": ({"validity": None},),
    "expiry has both validity and date": ({"date": "2027-01-31"},),
    "afterEnd has an effect with date only": ({"afterEnd": "Keep"},),
    "write whole days from 1d to 9999d": ("0d", "24h", "90", "1d12h", "10000d", ""),
    "write a day that exists": ("2027-02-29", "2027-1-31", "31.01.2027", "tomorrow", "2027-01-31T00:00:00Z", ""),
    "timeZone has an effect with schedule only": ({"schedule": None, "timeZone": "Europe/Paris"},),
    "write a duration such as 30m, 12h or 15d, or a percentage": ("33", "0%", "100%", "1.5h", "-1d", ""),
    "write five fields": ("@daily", "0 3 1 *", "0 3 1 * * *", "a 3 1 * *", ""),
    "write an IANA time zone": ("+01:00", "Europe/", "../etc/passwd", ""),
    "write whole numbers with s, m, h or d": ("5", "1.5h", "5 m", "-5m", "5w", ""),
    "target is empty": ({"secret": None, "vault": None},),
    "target has both secret and vault": ({"secret": _SECRET, "vault": _VAULT},),
    "template replaces key": ({"key": "other", "template": {"a": "${api_key}"}},),
    "Kubernetes cannot change the type of a Secret in place": ({"type": "example.com/other"},),
    "write a data key of letters": ("a/b", "..", "..a", "", "a b", "ä"),
    "at least one value of template must contain ${api_key}": (
        {"MISTRAL_API_KEY": "", "config.ini": ""},  # as Flux's postBuild leaves them
        {"MISTRAL_API_KEY": "$${api_key} $$$${api_key}", "config.ini": "${key_id}"},
    ),
    "write data keys of letters": ({"a/b": "${api_key}"}, {"..": ""}, {"": ""}),
    "after a dollar only": (
        "${apikey} ${api_key}",
        "$api_key",
        "${api_key} $",
        "${api_key} ${HOME}",
        "$${api_key} $$$x",
    ),
    "keys under kubernetes.io/ and keywright.dev/ are reserved": (
        {"kubernetes.io/arch": "a"},
        {"app.kubernetes.io/name": "a"},
        {"keywright.dev/managed": "true"},
        {"sub.keywright.dev/a": "a"},
    ),
    "write keys as Kubernetes has them": ({"a b": "a"}, {"": "a"}, {"a/b/c": "a"}, {"k" * 64: "a"}, {"Up.per/a": "a"}),
    "write at most 63 letters": ("a b", "-a", "a-", "ä", "a/b"),
    "types under kubernetes.io/ and helm.sh/": (
        "kubernetes.io/tls",
        "kubernetes.io/service-account-token",
        "kubernetes.io/dockerconfigjson",
        "bootstrap.kubernetes.io/token",
        "helm.sh/release.v1",
    ),
    "write the Secret's type in one word": ("", "a b", "a\nb"),
    "template replaces field": ({"field": "other", "template": {"a": "${api_key}"}},),
    "the path may have no segment . or ..": ("../{namespace}/", "{namespace}/../", "{namespace}/./", "a/../b", ".."),
    "write a path without control characters": ("/a", "a/", "a//b", "", "a\x00b", "a\n"),
    "write a field's name of 1 to 253 characters": ({"": "${api_key}"}, {"a\nb": ""}),
    "fields under keywright.dev/ are reserved": ({"keywright.dev/key-id": "${api_key}"},),
    "write mistral, the one kind": ({"mistral": None},),
    "remove mistral.adminKeySecretRef.namespace": ({"mistral": {"adminKeySecretRef": _ELSEWHERE}},),
    "remove mistral.caBundleSecretRef.namespace": ({"mistral": {"caBundleSecretRef": {**_CA, **_ELSEWHERE}}},),
    "remove mistral.caBundleConfigMapRef.namespace": ({"mistral": {"caBundleConfigMapRef": {**_CA, **_ELSEWHERE}}},),
    "remove namespaces from grants": ({"grants": [{"namespaces": _NAMES, "workspaces": ["*"]}]},),
    "keep one of caBundleSecretRef and caBundleConfigMapRef": (
        {"caBundleSecretRef": _REF_ELSEWHERE, "caBundleConfigMapRef": _REF_ELSEWHERE},
        {"caBundleSecretRef": _CA, "caBundleConfigMapRef": _CA},
    ),
    "write an http(s) address with a host": (
        "",
        "ftp://host.example",
        "host.example",
        "https://",
        "https://user:password@host.example",
        "https://host.example/?a=b",
        "https://host.example#a",
        "https://host.example:0",
        "https://host.example:65536",
        "https://ho st.example",
        "https://host.example/\n",
    ),
    "write a path that begins with /": ("", "v1/admin", "/v1/", "/v1/../admin", "/v1?x", "/v1//admin"),
    "write the member's uuid or e-mail address": (
        "",
        "someone",
        "@example.com",
        "a@b@c",
        "a b@example.com",
        "1-2-3-4-5",
    ),
    "name the namespaces": ({"names": None, "selector": None},),
    "write values with In and NotIn": (
        {"operator": "In", "values": None},
        {"operator": "NotIn", "values": []},
        {"operator": "Exists", "values": ["a"]},
    ),
    "write seconds or minutes": ("0s", "300s", "6m", "1h", "10", ""),
    "write a time longer than zero": ("0s", "0h0m"),
    "write mistral.adminKeySecretRef.namespace": ({"mistral": {"adminKeySecretRef": _NO_NAMESPACE}},),
    "write mistral.caBundleSecretRef.namespace": ({"mistral": {"caBundleSecretRef": _CA}},),
    "write mistral.caBundleConfigMapRef.namespace": ({"mistral": {"caBundleConfigMapRef": _CA}},),
    "write namespaces in each grant": ({"grants": [{"workspaces": ["*"]}]},),
    "remove caBundleSecretRef.namespace": ({"caBundleSecretRef": {**_CA, **_ELSEWHERE}},),
    "remove caBundleConfigMapRef.namespace": ({"caBundleConfigMapRef": {**_CA, **_ELSEWHERE}},),
    "remove auth.appRole.secretIdSecretRef.namespace": (
        {"auth": {"tokenSecretRef": None, **_app_role({**_CA, **_ELSEWHERE})}},
    ),
    "remove auth.tokenSecretRef.namespace": ({"auth": {"tokenSecretRef": _ELSEWHERE}},),
    "remove namespaces: a VaultStore": ({"namespaces": _NAMES},),
    "write a host's name": ("", "https://vault", "vault:8200", ".vault", "va ult"),
    "write Vault's own namespace": ("", "/team-a", "team-a/", "a//b", "a b"),
    "write the mount's path": ("", "/secret", "secret/", "a//b", "a b", "../sys"),
    "write a path that ends with / and does not begin with it": ("{namespace}", "/{namespace}/", "a//{namespace}/"),
    "write exactly one of kubernetes, appRole and tokenSecretRef": (
        {"tokenSecretRef": None, "kubernetes": None, "appRole": None},
        _KUBERNETES,
    ),
    "write an audience in one word": ("", "a b", "a\nb"),
    "write caBundleSecretRef.namespace": ({"caBundleSecretRef": _CA},),
    "write caBundleConfigMapRef.namespace": ({"caBundleConfigMapRef": _CA},),
    "write auth.appRole.secretIdSecretRef.namespace": ({"auth": {"tokenSecretRef": None, **_app_role(_CA)}},),
    "write auth.tokenSecretRef.namespace": ({"auth": {"tokenSecretRef": _NO_NAMESPACE}},),
    "the prefix of a ClusterVaultStore must contain {namespace}": ("team-a/", ""),
}
"""For each rule, known by how its message begins, what breaks it where it stands.

A text takes the place of the good one. A map is merged into the good one, as RFC 7386 has it.
"""

_STEP: Final = re.compile(r"\.(\w+)|(\[\])")


def an_object(kind: str, spec: dict[str, Any], name: str = "example") -> dict[str, Any]:
    """The object with this spec."""
    return {"apiVersion": "keywright.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def having(kind: str, path: str) -> tuple[dict[str, Any], bool]:
    """The first object in which `path`, written as .spec.target.secret.template[], leads somewhere, and whether it is good.

    What only a cluster kind may have is tried in the namespaced kind all the same: that alone is refused already.
    """
    for specs, is_good in ((GOOD[kind], True), (GOOD.get(f"Cluster{kind}", ()), False)):
        for spec in specs:
            found = an_object(kind, spec)
            if _at(found, path) is not None:
                return found, is_good
    raise LookupError(f"no {kind} has {path}")


def broken(good: dict[str, Any], path: str, breaking: Any) -> dict[str, Any]:
    """`good` with what stands at `path` broken."""
    bad = json.loads(json.dumps(good))  # no part of it in two places, as deepcopy would leave it
    place = _at(bad, path)
    assert place is not None
    parent, step = place
    parent[step] = _merged(parent[step], breaking)
    return bad


def _at(obj: dict[str, Any], path: str) -> tuple[Any, Any] | None:
    """Whom to ask for what: the last step of the path and where it is taken."""
    parent: Any = None
    step: Any = None
    here: Any = obj
    for wanted in _steps(path):
        parent, step = here, wanted
        if wanted is None:
            step = 0 if isinstance(here, list) else next(iter(here), None)
        if not here or (isinstance(here, dict) and step not in here):
            return None
        here = here[step]
    return parent, step


def _steps(path: str) -> Iterator[str | None]:
    for found in _STEP.finditer(path):
        yield found[1]


def _merged(good: Any, breaking: Any) -> Any:
    if not isinstance(breaking, dict):
        return breaking
    merged = dict(good) if isinstance(good, dict) else {}
    for name, value in breaking.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged
