"""The status of a KeyIssuer or ClusterKeyIssuer, computed and written here and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from keywright.api.base import Condition
from keywright.api.keyissuer import KeyIssuerStatus
from keywright.api.reasons import Reason
from keywright.errors import Conflict, Retryable
from keywright.reconcile.account import tell_condition

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from keywright.planning.observed import Refusal
    from keywright.planning.strays import Survey
    from keywright.ports.cluster import Cluster, Object
    from keywright.reconcile.directory import Ref

__all__ = ["IssuerStatusWriter", "next_status", "status_of"]

_AGAIN: Final = (1.0, 5.0, 0.0)
"""Seconds between two tries to write a status that somebody else's writes get in the way of; after the last, the next pass says it."""


def status_of(found: Object) -> KeyIssuerStatus:
    """What was said of an issuer; what cannot be read is said anew."""
    try:
        return KeyIssuerStatus.model_validate(found.get("status") or {})
    except ValidationError:
        return KeyIssuerStatus()


def next_status(
    found: Object,
    before: KeyIssuerStatus,
    now: datetime,
    *,
    refusal: Refusal | None = None,
    counted: Survey | None = None,
    vanished: int = 0,
) -> KeyIssuerStatus:
    """Pure. `before`: what stands. `refusal`: why the issuer cannot be used. `counted`: what a pass found; without one the numbers stay.

    `vanished`: how many keys should have been listed where none was.
    """
    generation = found["metadata"].get("generation")
    if refusal is not None:
        works, reason, message = False, refusal.reason, refusal.message
    elif vanished:
        works, reason = False, Reason.KEYS_VANISHED
        message = (
            f"The platform lists none of the {vanished} keys that ApiKeys hold: is the admin key of another organization? Put the right "
            "one back. Until then nothing is re-issued. If they were all revoked on purpose, annotate one of the ApiKeys with "
            "keywright.dev/rotate: once its new key is listed, the others follow."
        )
    else:
        works, reason, message = True, Reason.ADMIN_KEY_WORKS, "The platform accepts the admin key."
    condition = Condition(
        type="Ready",
        status="True" if works else "False",
        reason=reason,
        message=message,
        last_transition_time=now,
        observed_generation=generation,
    ).since(next((c for c in before.conditions if c.type == "Ready"), None))
    return KeyIssuerStatus(
        observed_generation=generation,
        keys=counted.tagged if counted else before.keys,
        strays=len(counted.strays) if counted else before.strays,
        conditions=[condition],
    )


class IssuerStatusWriter:
    """Says of issuers how they are."""

    def __init__(
        self, cluster: Cluster, *, clock: Callable[[], datetime], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        """`clock` gives aware UTC, `sleep` takes seconds."""
        self._cluster = cluster
        self._clock = clock
        self._sleep = sleep

    async def say(self, ref: Ref, *, refusal: Refusal | None, counted: Survey | None, vanished: int) -> None:
        """Write the status where it changed; once more where somebody wrote the issuer meanwhile, as its first key does."""
        for pause in _AGAIN:
            found = self._cluster.issuer(*ref)
            if found is None:
                return
            before = status_of(found)
            after = next_status(found, before, self._clock(), refusal=refusal, counted=counted, vanished=vanished)
            if after == before:
                return
            try:
                await self._cluster.patch_status(found, after.to_dict())
            except Conflict:
                await self._sleep(pause)  # by then a watch has told
            except Retryable:
                return  # the apiserver is away: the next pass says it
            else:
                tell_condition(found, before.conditions, after.conditions)
                return
