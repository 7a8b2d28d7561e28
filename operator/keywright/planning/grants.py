"""Who may: whether an issuer's grants allow one ApiKey's request.

Workspaces are matched after the issuer resolved them, by uuid or current name, never by the spec's own string. One single
grant must allow the whole request. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keywright.api.apikey import called
from keywright.api.durations import parse_days
from keywright.api.reasons import Reason
from keywright.planning import schedule
from keywright.planning.observed import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from keywright.api.keyissuer import Grant, KeyIssuerSpec, LabelSelector, NamespaceSelection
    from keywright.keys import Workspace
    from keywright.planning.observed import IssuerFacts
    from keywright.planning.situation import Situation

__all__ = [
    "GrantRequest",
    "granted_workspaces",
    "grants_for",
    "lost",
    "needs_namespace_labels",
    "refused",
    "request_of",
    "selected",
]


@dataclass(frozen=True, slots=True)
class GrantRequest:
    """What one ApiKey asks. `last_day` is the day its key would end if issued `today`, None for never.

    `keys_in_namespace` counts its namespace's ApiKeys at this issuer up to this one, by age.
    """

    issuer: str
    cluster_scoped: bool
    namespace: str
    namespace_labels: Mapping[str, str]
    workspace: Workspace
    today: date
    last_day: date | None
    keys_in_namespace: int


def needs_namespace_labels(spec: KeyIssuerSpec) -> bool:
    """Whether any grant selects namespaces by label, so that they must be read."""
    return any(g.namespaces and g.namespaces.selector is not None for g in spec.grants or ())


def request_of(s: Situation, facts: IssuerFacts) -> GrantRequest:
    """What an ApiKey asks of an issuer now."""
    subject = s.observed.subject
    return GrantRequest(
        issuer=called(facts.identity.kind, facts.identity.name),
        cluster_scoped=facts.identity.kind == "ClusterKeyIssuer",
        namespace=subject.key.namespace,
        namespace_labels=facts.namespace_labels or {},
        workspace=facts.workspace,
        today=s.now.date(),
        last_day=schedule.expiration(s.spec, s.now),
        keys_in_namespace=facts.keys_in_namespace,
    )


def refused(spec: KeyIssuerSpec, request: GrantRequest) -> Refusal | None:
    """None where one grant allows the request; else why not, naming nothing of other namespaces' grants."""
    if not request.cluster_scoped and spec.grants is None:
        return None
    grants = _naming(spec, request)
    if isinstance(grants, Refusal):
        return grants
    problems = [_problem(g, request) for g in grants]
    return None if None in problems else _refusal(f"{request.issuer}: {problems[0]}")


def lost(spec: KeyIssuerSpec, request: GrantRequest) -> Refusal | None:
    """None while some grant names this namespace and this workspace, whatever its limits; else what is missing."""
    if not request.cluster_scoped and spec.grants is None:
        return None
    grants = _naming(spec, request)
    return grants if isinstance(grants, Refusal) else None


def _naming(spec: KeyIssuerSpec, request: GrantRequest) -> list[Grant] | Refusal:
    """The grants that name this namespace and this workspace; where there is none, what to ask for."""
    grants = [g for g in spec.grants or () if not request.cluster_scoped or _selects(g, request)]
    if not grants:
        return _refusal(
            f"{request.issuer} grants nothing to namespace {request.namespace}; ask its owner for a grant with "
            f"namespaces.names: [{request.namespace}] and workspaces: [{request.workspace.name}]"
        )
    grants = [g for g in grants if _workspace_matches(g.workspaces, request.workspace)]
    if not grants:
        return _refusal(
            f"no grant of {request.issuer} allows namespace {request.namespace} the workspace {request.workspace.name}; ask its owner "
            f"to add {request.workspace.name} (or {request.workspace.id}) to a grant's workspaces"
        )
    return grants


def granted_workspaces(
    spec: KeyIssuerSpec, request_namespace: str, labels: Mapping[str, str], all_of: Iterable[Workspace]
) -> list[Workspace]:
    """Of the issuer's workspaces, those that some grant of a ClusterKeyIssuer gives this namespace."""
    grants = [g for g in spec.grants or () if _selects_namespace(g, request_namespace, labels)]
    return [w for w in all_of if any(_workspace_matches(g.workspaces, w) for g in grants)]


def grants_for(
    spec: KeyIssuerSpec, workspace: Workspace, namespace: str, labels: Mapping[str, str], *, cluster_scoped: bool
) -> list[Grant] | None:
    """The grants that give this namespace this workspace, of which one suffices; None: everything is allowed."""
    if not cluster_scoped and spec.grants is None:
        return None
    grants = [g for g in spec.grants or () if not cluster_scoped or _selects_namespace(g, namespace, labels)]
    return [g for g in grants if _workspace_matches(g.workspaces, workspace)]


def _refusal(message: str) -> Refusal:
    return Refusal(Reason.NOT_GRANTED, message)


def _problem(grant: Grant, request: GrantRequest) -> str | None:
    if request.last_day is None and (grant.require_expiry or grant.max_validity):
        return "the grant requires an expiry; set spec.expiry.validity" + (
            f" to {grant.max_validity} or less" if grant.max_validity else ""
        )
    if (
        grant.max_validity
        and request.last_day
        and (request.last_day - request.today).days > parse_days(grant.max_validity)
    ):
        return f"the grant allows a validity of at most {grant.max_validity}; shorten spec.expiry"
    if grant.max_keys is not None and request.keys_in_namespace > grant.max_keys:
        return (
            f"the grant allows namespace {request.namespace} at most {grant.max_keys} ApiKeys, and by age this is number "
            f"{request.keys_in_namespace}; delete older ones, or ask for a higher maxKeys"
        )
    return None


def _selects(grant: Grant, request: GrantRequest) -> bool:
    return _selects_namespace(grant, request.namespace, request.namespace_labels)


def _selects_namespace(grant: Grant, namespace: str, labels: Mapping[str, str]) -> bool:
    return selected(grant.namespaces, namespace, labels)


def selected(namespaces: NamespaceSelection | None, namespace: str, labels: Mapping[str, str]) -> bool:
    """Whether a selection has this namespace, by name or by its labels; none selects nobody."""
    if namespaces is None:
        return False
    if namespaces.names and namespace in namespaces.names:
        return True
    return namespaces.selector is not None and _label_match(namespaces.selector, labels)


def _label_match(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    if any(labels.get(key) != value for key, value in (selector.match_labels or {}).items()):
        return False
    for term in selector.match_expressions or ():
        values = term.values or []
        holds = {
            "In": labels.get(term.key) in values,
            "NotIn": labels.get(term.key) not in values,
            "Exists": term.key in labels,
            "DoesNotExist": term.key not in labels,
        }[term.operator]
        if not holds:
            return False
    return True


def _workspace_matches(patterns: Sequence[str], workspace: Workspace) -> bool:
    return any(p.lower() == workspace.id.lower() or _like(p, workspace.name) for p in patterns)


def _like(pattern: str, name: str) -> bool:
    """Only * is special: fnmatch would also read ? and [ ]."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.DOTALL) is not None
