"""Whether an operator works: what its Deployment, its Lease and the ApiKeys tell. Pure.

An operator that was started outside of the cluster (`keywright run` with a kubeconfig) has neither Deployment nor Lease: then
ApiKeys that are answered are the sign that it works.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from keywright.planning.diagnosis.finding import Check, ago, counted, note, ok, wrong

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from keywright.planning.diagnosis.finding import Finding

__all__ = ["Account", "Operators", "accounts", "is_served", "moment", "of_operators", "operators_ahead", "unanswered"]

_SYSTEM: Final = "keywright-system"
_EVERYWHERE: Final = "keywright"
_NAMESPACED: Final = "keywright-namespaced"
"""Names of Leases, as the election has them."""
_LATE: Final = 1.2
"""Durations of a Lease after which somebody else would have taken over."""
_ANSWERS: Final = timedelta(seconds=30)
"""An operator that works has looked by then, also where a call to the platform takes its whole time."""


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
    leases: Sequence[Mapping[str, Any]] | None


def moment(text: str | None) -> datetime | None:
    """A time of the apiserver's; None where there is none that can be read."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text else None
    except ValueError:
        return None


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
        namespace, name = lease["metadata"]["namespace"], lease["metadata"]["name"]
        if name in (_EVERYWHERE, _NAMESPACED):
            found.setdefault(namespace, Account(namespace, "keywright", name == _EVERYWHERE))
    return list(found.values()) or [Account(_SYSTEM, "keywright", everywhere=True)]


def operators_ahead(operators: Operators) -> list[tuple[str, timedelta]]:
    """How far operators' clocks are ahead of the apiserver's: by the latter's own note of when a renewal was written."""
    found = []
    several = len(operators.leases or ()) > 1
    for lease in operators.leases or ():
        renewed, written = _renewed(lease), _written(lease)
        if renewed and written and (lease.get("spec") or {}).get("holderIdentity"):
            found.append((f"the operator{f' ({_named(lease)})' if several else ''}", renewed - written))
    return found


def unanswered(api_keys: Iterable[Mapping[str, Any]], now: datetime) -> list[str]:
    """ApiKeys that no operator has looked at since they were changed, though there was time to. `now`: the apiserver's."""
    late = []
    for seen in api_keys:
        meta = seen["metadata"]
        answered = _answered(seen)
        times = [moment(entry.get("time")) for entry in meta.get("managedFields") or ()]
        times += [moment(meta.get("creationTimestamp")), moment(meta.get("deletionTimestamp"))]
        newest = max((at for at in times if at), default=now)
        if answered < meta.get("generation", 0) and now - newest > _ANSWERS:
            late.append(f"{meta['namespace']}/{meta['name']}")
    return late


def _answered(seen: Mapping[str, Any]) -> int:
    """The generation that an operator has looked at last; 0: none."""
    return int((seen.get("status") or {}).get("observedGeneration", 0))


def is_served(operators: Operators, late: Sequence[str], now: datetime) -> bool:
    """Whether some operator works: a Lease that is held, or, without one, ApiKeys that are answered."""
    return any(_is_held(lease, now) for lease in operators.leases or ()) or (not operators.leases and not late)


def of_operators(operators: Operators, api_keys: Sequence[Mapping[str, Any]], now: datetime) -> list[Finding]:
    """`now`: the apiserver's."""
    late = unanswered(api_keys, now)
    leads = any(lease["metadata"]["name"] == _EVERYWHERE and _is_held(lease, now) for lease in operators.leases or ())
    served = is_served(operators, late, now)
    found = [f for d in operators.deployments or () for f in _of_deployment(d, served=served)]
    found += [f for lease in operators.leases or () for f in _of_lease(lease, now, spare=leads)]
    if late:
        whom = counted(late, "ApiKey")
        if operators.leases and served:
            found.append(
                wrong(
                    Check.OPERATOR,
                    f"the operator has not looked at {whom} since the last change",
                    "see its log, and docs/runbooks/KeywrightQueueStuck.md",
                )
            )
        elif not operators.leases:
            found.append(
                wrong(
                    Check.OPERATOR,
                    f"no operator works: {whom} {'waits' if len(late) == 1 else 'wait'} unanswered, and no Lease tells of one",
                    f"kubectl apply --server-side -k manifests, then kubectl -n {_SYSTEM} get pods",
                )
            )
    elif not operators.leases and any(_answered(seen) for seen in api_keys):
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


def _of_lease(lease: Mapping[str, Any], now: datetime, *, spare: bool) -> list[Finding]:
    """`spare`: an operator of the whole cluster leads, whoever has left this one."""
    spec = lease.get("spec") or {}
    holder, at = spec.get("holderIdentity"), _written(lease) or _renewed(lease)
    name = _named(lease)
    look = f"kubectl -n {lease['metadata']['namespace']} get pods, and the log of the one that is to lead"
    since = f"{ago(at, now)} ago" if at else "at an unknown time"
    if spare and not _is_held(lease, now):
        text = f"the Lease {name} was left {since}, and an operator of the whole cluster leads"
        return [note(Check.OPERATOR, text, "delete it, if no operator of that namespace is to come back")]
    if not holder:
        return [wrong(Check.OPERATOR, f"nobody leads: the Lease {name} was given back {since}", look)]
    if not _is_held(lease, now):
        return [
            wrong(
                Check.OPERATOR,
                f"nobody leads: {holder} renewed the Lease {name} last {since}, and it has run out",
                look,
            )
        ]
    return [ok(Check.OPERATOR, f"{holder} leads (Lease {name}, renewed {since})")]


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


def _is_held(lease: Mapping[str, Any], now: datetime) -> bool:
    spec = lease.get("spec") or {}
    at = _written(lease) or _renewed(lease)
    lasts = timedelta(seconds=_LATE * (spec.get("leaseDurationSeconds") or 0))
    return bool(spec.get("holderIdentity")) and at is not None and now - at <= lasts


def _renewed(lease: Mapping[str, Any]) -> datetime | None:
    """By the operator's clock."""
    return moment((lease.get("spec") or {}).get("renewTime"))


def _written(lease: Mapping[str, Any]) -> datetime | None:
    """The same moment by the apiserver's, in whole seconds."""
    entries = [e for e in lease["metadata"].get("managedFields") or () if "f:renewTime" in str(e.get("fieldsV1"))]
    return max((at for e in entries if (at := moment(e.get("time")))), default=None)


def _named(lease: Mapping[str, Any]) -> str:
    return f"{lease['metadata']['namespace']}/{lease['metadata']['name']}"
