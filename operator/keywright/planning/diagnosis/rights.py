"""What the caller and the operator may do, held against what this version needs. Pure.

The operator's rights are those of manifests/: there is no second list of them.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from keywright.api.base import GROUP
from keywright.planning.diagnosis.finding import Check, note, ok, wrong

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from keywright.planning.diagnosis.finding import Finding
    from keywright.planning.diagnosis.running import Account

__all__ = ["Right", "caller_needs", "logins", "of_caller", "of_operator", "restarts", "shipped_rights"]

_NAMED: Final = 3
"""Groups of rights that a line names: one command grants them all."""
_OUR_KINDS: Final = ("apikeys", "keyissuers", "vaultstores")


class Right(NamedTuple):
    """As an access review asks for it. `namespace` None: in all of them, or a kind that has none; `name` None: any."""

    verb: str
    group: str
    resource: str
    namespace: str | None = None
    name: str | None = None

    @property
    def kind(self) -> str:
        """As `kubectl auth can-i` writes it: `apikeys.keywright.dev/status`."""
        resource, _, sub = self.resource.partition("/")
        return f"{resource}{f'.{self.group}' if self.group else ''}{f'/{sub}' if sub else ''}"


def shipped_rights(documents: Iterable[Mapping[str, Any]], namespace: str, *, everywhere: bool) -> list[Right]:
    """What the ClusterRoles and Roles of a manifest give. `namespace`: where its Roles lie; `everywhere`: it has ClusterRoles, too."""
    rights = []
    for document in documents:
        if document.get("kind") not in ("ClusterRole", "Role"):
            continue
        where = None if everywhere and document["kind"] == "ClusterRole" else namespace
        for rule in document["rules"]:
            rights += [
                Right(verb, group, resource, where, name)
                for group in rule["apiGroups"]
                for resource in rule["resources"]
                for verb in rule["verbs"]
                for name in rule.get("resourceNames") or (None,)
            ]
    return rights


def caller_needs(namespace: str | None) -> list[Right]:
    """What the commands need of their caller. `namespace` None: they are meant for all."""
    look = [Right(verb, GROUP, kind, namespace) for kind in _OUR_KINDS for verb in ("get", "list")]
    return [*look, *(Right(verb, GROUP, "apikeys", namespace) for verb in ("patch", "delete"))]


def of_caller(answers: Mapping[Right, bool], namespace: str | None) -> list[Finding]:
    """Who may not look sees nothing of what is wrong; who may look only is told so, and that is all."""
    where = f"in namespace {namespace}" if namespace else "in all namespaces"
    missing = [right for right, allowed in answers.items() if not allowed]
    blind = [right for right in missing if right.verb in ("get", "list")]
    if blind:
        return [
            wrong(
                Check.RIGHTS,
                f"you may not {_listed(blind)} {where}",
                "ask for the ClusterRole view there, or for keywright-view (manifests/users.yaml); kubectl auth can-i --list"
                f"{f' -n {namespace}' if namespace else ''} shows what you have",
            )
        ]
    if missing:
        return [
            note(
                Check.RIGHTS,
                f"you may look {where}, and not {_listed(missing)}: rotate and revoke are for others",
                "to change that, ask for the ClusterRole edit, or for keywright-edit (manifests/users.yaml)",
            )
        ]
    return [ok(Check.RIGHTS, f"you may do {where} what the commands need ({len(answers)} rights)")]


def of_operator(answers: Mapping[Right, bool], account: Account) -> list[Finding]:
    """What its manifests give must be there: without one of them it fails at some keys, or at all."""
    missing = [right for right, allowed in answers.items() if not allowed]
    if not missing:
        return [ok(Check.RIGHTS, f"the operator's ServiceAccount {account} has all its {len(answers)} rights")]
    where = "" if account.everywhere else f" in namespace {account.namespace}"
    lacks = f"may not {_listed(missing)}{where}" if len(missing) < len(answers) else f"has none of its rights{where}"
    folder = "manifests" if account.everywhere else "manifests/namespaced"
    return [
        wrong(
            Check.RIGHTS,
            f"the operator's ServiceAccount {account} {lacks}",
            f"kubectl apply --server-side -k {folder} ({folder}/rbac.yaml grants it)",
        )
    ]


def logins(stores: Iterable[Mapping[str, Any]], api_keys: Iterable[Mapping[str, Any]]) -> list[Right]:
    """The tokens that the operator must be able to make for the Vaults that ApiKeys name."""
    named = {}
    for store in stores:
        meta, auth = store["metadata"], ((store.get("spec") or {}).get("auth") or {}).get("kubernetes")
        if auth is not None:
            account = (auth.get("serviceAccountRef") or {}).get("name", "default")
            named[store["kind"], meta.get("namespace"), meta["name"]] = account
    rights = set()
    for seen in api_keys:
        vault = ((seen.get("spec") or {}).get("target") or {}).get("vault") or {}
        ref, namespace = vault.get("storeRef") or {}, seen["metadata"]["namespace"]
        kind = ref.get("kind", "VaultStore")
        found = named.get((kind, namespace if kind == "VaultStore" else None, ref.get("name")))
        if found:
            rights.add(Right("create", "", "serviceaccounts/token", namespace, found))
    return sorted(rights)


def restarts(api_keys: Iterable[Mapping[str, Any]]) -> list[Right]:
    """The workloads that the operator must be able to restart."""
    rights = set()
    for seen in api_keys:
        for workload in ((seen.get("spec") or {}).get("rotation") or {}).get("restart") or ():
            kind, namespace = workload["kind"], seen["metadata"]["namespace"]
            group = "argoproj.io" if kind == "Rollout" else "apps"
            rights |= {Right(verb, group, f"{kind.lower()}s", namespace, workload["name"]) for verb in ("get", "patch")}
    return sorted(rights)


def of_extras(answers: Mapping[Right, bool]) -> list[Finding]:
    """Rights that a namespace gives by a Role of its own: a ServiceAccount's tokens, and workloads."""
    found = []
    missing = sorted(right for right, allowed in answers.items() if not allowed)
    for namespace, group in groupby(missing, key=lambda right: right.namespace):
        rights = list(group)
        if tokens := [right for right in rights if right.resource == "serviceaccounts/token"]:
            names = ", ".join(sorted({right.name or "" for right in tokens}))
            found.append(
                wrong(
                    Check.RIGHTS,
                    f"the operator may not create serviceaccounts/token of {names} in namespace {namespace}, by which it logs in at Vault",
                    f"apply the Role and RoleBinding of examples/vault/serviceaccount.yaml in namespace {namespace}",
                )
            )
        if workloads := [right for right in rights if right.resource != "serviceaccounts/token"]:
            found.append(
                wrong(
                    Check.RIGHTS,
                    f"the operator may not {_listed(workloads)} in namespace {namespace}, which rotation.restart names",
                    f"apply manifests/restart in namespace {namespace}",
                )
            )
    return found


def _listed(rights: Sequence[Right]) -> str:
    """`get, list apikeys.keywright.dev and patch secrets`."""
    by_kind: dict[str, list[str]] = {}
    for right in rights:
        verbs = by_kind.setdefault(right.kind, [])
        if right.verb not in verbs:
            verbs.append(right.verb)
    by_verbs: dict[str, list[str]] = {}
    for kind, verbs in by_kind.items():
        by_verbs.setdefault(", ".join(verbs), []).append(kind)
    parts = [f"{verbs} {', '.join(kinds)}" for verbs, kinds in by_verbs.items()]
    return " and ".join(parts[:_NAMED]) + (f" and {len(parts) - _NAMED} more" if len(parts) > _NAMED else "")
