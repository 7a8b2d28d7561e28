"""What may be named in spec.workspace: an issuer's workspaces with the eyes of one namespace. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from keywright.planning.grants import grants_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from keywright.api.keyissuer import Grant, KeyIssuerSpec
    from keywright.keys import Workspace

__all__ = ["Offer", "offers"]


class Offer(NamedTuple):
    """A workspace, and whether it may be named. `ambiguous`: by its id only; `limits`: what the grants ask besides."""

    workspace: Workspace
    archived: bool
    granted: bool
    ambiguous: bool
    limits: str

    @property
    def usable(self) -> bool:
        """Whether an ApiKey of the namespace may name it."""
        return self.granted and not self.archived

    @property
    def use(self) -> str:
        """In words."""
        if self.archived:
            return "no: archived"
        if not self.granted:
            return "no: not granted"
        return "by its id: others have this name" if self.ambiguous else "yes"


def offers(
    spec: KeyIssuerSpec,
    namespace: str,
    labels: Mapping[str, str],
    *,
    cluster_scoped: bool,
    live: Sequence[Workspace],
    archived: Sequence[Workspace],
) -> list[Offer]:
    """Those that may be named first, each group by name."""
    names = Counter(one.name for one in live)
    found = []
    for one in (*live, *archived):
        given = grants_for(spec, one, namespace, labels, cluster_scoped=cluster_scoped)
        found.append(
            Offer(
                workspace=one,
                archived=one in archived,
                granted=given is None or bool(given),
                ambiguous=names[one.name] > 1,
                limits=" or ".join(dict.fromkeys(_limits(grant) for grant in given or ())),
            )
        )
    return sorted(found, key=lambda o: (not o.usable, o.archived, o.workspace.name, o.workspace.id))


def _limits(grant: Grant) -> str:
    parts = []
    if grant.max_validity:
        parts.append(f"at most {grant.max_validity}")
    elif grant.require_expiry:
        parts.append("with an expiry")
    if grant.max_keys is not None:
        parts.append(f"at most {grant.max_keys} ApiKeys")
    return ", ".join(parts) or "any"
