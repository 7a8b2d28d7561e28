"""Whether an operator works: what its Deployment, its Lease and the ApiKeys tell. Pure.

An operator that was started outside of the cluster (`keywright run` with a kubeconfig) has neither Deployment nor Lease: then
ApiKeys that are answered are the sign that it works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from keywright.planning.diagnosis.finding import Check, counted, note, ok, wrong
from keywright.planning.leases import EVERYWHERE, NAMESPACED, SYSTEM
from keywright.planning.spans import span
from keywright.planning.standing import silence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from keywright.planning.diagnosis.finding import Finding
    from keywright.planning.leases import Lease
    from keywright.planning.standing import Seen

__all__ = ["Account", "Operators", "accounts", "is_served", "of_operators", "operators_ahead", "unanswered"]


class Account(NamedTuple):
    """Whose rights an operator has. `everywhere`: it serves the whole cluster, else its own namespace."""

    namespace: str
    name: str
    everywhere: bool

    @property
    def user(self) -> str:
        """As the apiserver calls it."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Operators(NamedTuple):
    """The Deployments and Leases that carry keywright's label. None: the caller may not see them."""

    deployments: Sequence[Mapping[str, Any]] | None
    leases: Sequence[Lease] | None


def accounts(operators: Operators) -> list[Account]:
    """Whose rights are to be looked at; where nothing is seen, those of manifests/."""
    found = {}
    for deployment in operators.deployments or ():
        namespace = deployment["metadata"]["namespace"]
        template = deployment["spec"]["template"]["spec"]
        arguments = [
            text for c in template["containers"] for text in (*(c.get("command") or ()), *(c.get("args") or ()))
        ]
        everywhere = not any(text.split("=")[0] in ("--namespace", "-n") for text in arguments)
        found[namespace] = Account(namespace, template.get("serviceAccountName", "default"), everywhere)
    for lease in operators.leases or ():
        if lease.name in {EVERYWHERE, NAMESPACED}:
            found.setdefault(lease.namespace, Account(lease.namespace, "keywright", lease.name == EVERYWHERE))
    return list(found.values()) or [Account(SYSTEM, "keywright", everywhere=True)]


def operators_ahead(operators: Operators) -> list[tuple[str, timedelta]]:
    """How far operators' clocks are ahead of the apiserver's: by the latter's own note of when a renewal was written."""
    found = []
    several = len(operators.leases or ()) > 1
    for lease in operators.leases or ():
        if lease.renewed_at and lease.written_at and lease.holder:
            whose = f"the operator{f' ({lease.place})' if several else ''}"
            found.append((whose, lease.renewed_at - lease.written_at))
    return found


def unanswered(api_keys: Sequence[Seen], now: datetime) -> list[tuple[datetime, str, str]]:
    """What no operator has answered, though there was time to: since when, what, and of which ApiKey. `now`: the apiserver's."""
    return [(since, what, seen.at) for seen in api_keys for what, since in filter(None, [silence(seen, now)])]


def is_served(operators: Operators, late: Sequence[object], now: datetime) -> bool:
    """Whether some operator works: a Lease that is held, or, without one, ApiKeys that are answered."""
    return any(lease.is_held(now) for lease in operators.leases or ()) or (not operators.leases and not late)


def of_operators(operators: Operators, api_keys: Sequence[Seen], now: datetime) -> list[Finding]:
    """`now`: the apiserver's."""
    late = unanswered(api_keys, now)
    leads = any(lease.name == EVERYWHERE and lease.is_held(now) for lease in operators.leases or ())
    served = is_served(operators, late, now)
    found = [f for d in operators.deployments or () for f in _of_deployment(d, served=served)]
    found += [f for lease in operators.leases or () for f in _of_lease(lease, now, spare=leads)]
    if late:
        whom = counted((name for _, _, name in late), "ApiKey")
        since, what, _ = min(late)
        quiet = f"{what} is not answered for {span(now - since)}"
        if operators.leases and served:
            found.append(
                wrong(
                    Check.OPERATOR,
                    f"the operator passes over {whom}: {quiet}",
                    "see its log, and docs/runbooks/KeywrightQueueStuck.md",
                )
            )
        elif not operators.leases:
            found.append(
                wrong(
                    Check.OPERATOR,
                    f"no operator works: {whom} {'waits' if len(late) == 1 else 'wait'} ({quiet}), and no Lease tells of one",
                    f"kubectl apply --server-side -k manifests, then kubectl -n {SYSTEM} get pods",
                )
            )
    elif not operators.leases and any(seen.status.observed_generation for seen in api_keys):
        none = (
            "" if operators.leases is None else "; no Lease is there (keywright run outside of the cluster takes none)"
        )
        found.append(ok(Check.OPERATOR, f"all ApiKeys are answered{none}"))
    elif not operators.leases and not operators.deployments and operators.leases is not None:
        found.append(
            wrong(
                Check.OPERATOR,
                "no operator is to be seen: neither a Deployment nor a Lease of keywright's",
                "kubectl apply --server-side -k manifests",
            )
        )
    return found


def _of_lease(lease: Lease, now: datetime, *, spare: bool) -> list[Finding]:
    """`spare`: an operator of the whole cluster leads, whoever has left this one."""
    name = lease.place
    look = f"kubectl -n {lease.namespace} get pods, and the log of the one that is to lead"
    since = f"{span(now - lease.at)} ago" if lease.at else "at an unknown time"
    if spare and not lease.is_held(now):
        text = f"the Lease {name} was left {since}, and an operator of the whole cluster leads"
        return [note(Check.OPERATOR, text, "delete it, if no operator of that namespace is to come back")]
    if not lease.holder:
        return [wrong(Check.OPERATOR, f"nobody leads: the Lease {name} was given back {since}", look)]
    if not lease.is_held(now):
        return [
            wrong(
                Check.OPERATOR,
                f"nobody leads: {lease.holder} renewed the Lease {name} last {since}, and it has run out",
                look,
            )
        ]
    return [ok(Check.OPERATOR, f"{lease.holder} leads (Lease {name}, renewed {since})")]


def _of_deployment(deployment: Mapping[str, Any], *, served: bool) -> list[Finding]:
    meta, wanted = deployment["metadata"], deployment["spec"].get("replicas", 1)
    available = (deployment.get("status") or {}).get("availableReplicas", 0)
    name = f"{meta['namespace']}/{meta['name']}"
    if available < wanted:
        text = f"{available} of {wanted} replicas of the Deployment {name} are available"
        if available:
            text += ": nobody takes over if that one dies" if available == 1 else ""
        return [
            wrong(Check.OPERATOR, text, f"kubectl -n {meta['namespace']} describe pods: nodes, quota, the image's name")
        ]
    if not wanted:
        scale = f"kubectl -n {meta['namespace']} scale deployment {meta['name']} --replicas=2"
        return [(note if served else wrong)(Check.OPERATOR, f"the Deployment {name} is scaled to 0", scale)]
    return [ok(Check.OPERATOR, f"{available} of {wanted} replicas of the Deployment {name} are available")]
