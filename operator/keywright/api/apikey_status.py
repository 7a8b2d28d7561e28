"""The ApiKey's status: what keywright answers. Half of the one source of crds/apikeys.yaml; apikey.py is the other.

Holds shapes only. What stands in them is computed by planning/outcome.py and planning/transitions.py, nowhere else.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from keywright.api.apikey import KeyIssuerIdentity, RestartRef
from keywright.api.base import Condition, Conditions, Kind, Timestamp

__all__ = [
    "ApiKeyStatus",
    "Attempt",
    "ClosedAttempt",
    "Handled",
    "Issuance",
    "IssuedAs",
    "NextStep",
    "PendingRollout",
    "PreviousKey",
    "RolloutStatus",
    "ScheduleInForce",
    "TargetStatus",
    "WorkspaceStatus",
]


class WorkspaceStatus(Kind):
    """The workspace the key was issued in."""

    id: str = Field(description="Its uuid at the platform, pinned while spec.workspace is unchanged.")
    name: str | None = Field(default=None, description="Its name when last resolved.")


class IssuedAs(Kind):
    """What was asked for when the current key was issued: an edit since then shows as a difference to the spec."""

    workspace: str = Field(description="spec.workspace as it was.")
    label: str = Field(description="The label the key got.")
    expiry: str | None = Field(default=None, description="spec.expiry as it was: a validity (90d) or a date.")
    attempt: str | None = Field(default=None, description="The attempt that made the key: part of its name.")
    digest: str | None = Field(
        default=None,
        description="The plaintext's SHA-256, by which it is known again in a Secret whose annotations were stripped. 32 random "
        "characters cannot be guessed back from it.",
    )


class PreviousKey(Kind):
    """An older key that still lives, for the overlap."""

    key_id: str = Field(description="Its id at the issuer.")
    issuer: KeyIssuerIdentity = Field(description="The issuer that made it, where it is revoked.")
    replaced_at: Timestamp | None = Field(default=None, description="When its successor was delivered.")
    revoke_at: Timestamp = Field(description="When it is revoked.")
    rollouts_until: Timestamp | None = Field(
        default=None,
        description="With rotation.restart: past revokeAt it also waits for status.rollout, until then at the latest.",
    )
    used_on: date | None = Field(
        default=None,
        description="The day the issuer last saw it used, where that is later than the day it was replaced: somebody has not moved over.",
    )
    target: str | None = Field(
        default=None, description="The place it stood in, where that is another one than now: cleaned with it."
    )


class Handled(Kind):
    """Values of the trigger annotations that have been answered."""

    rotate: str | None = Field(default=None, description="The last keywright.dev/rotate answered.")
    compromised: str | None = Field(default=None, description="The last keywright.dev/compromised answered.")


class Attempt(Kind):
    """One try to create one key, written down before the request."""

    id: str = Field(description="Random; part of the key's name at the issuer.")
    started_at: Timestamp = Field(description="When it was written down.")
    reason: str = Field(description="Why a key is issued.")
    generation: int = Field(description="The metadata.generation it was decided for.")
    issuer: KeyIssuerIdentity = Field(description="The issuer asked.")
    target: str = Field(description="The place it delivers into: a Secret's name, or store and path.")
    handled: Handled | None = Field(default=None, description="The trigger annotations this attempt answers.")


class ClosedAttempt(Kind):
    """An attempt that ended without a delivery; watched for a day, since its key may turn up late."""

    id: str = Field(description="The attempt's id.")
    closed_at: Timestamp = Field(description="When it was closed.")
    outcome: Literal["lost", "unseen", "failed"] = Field(
        description="lost: a key was made and its plaintext is gone. unseen: no key was found. "
        "failed: refused, or not delivered and revoked."
    )
    issuer: KeyIssuerIdentity = Field(description="The issuer asked.")
    started_at: Timestamp | None = Field(default=None, description="When it was written down.")
    target: str | None = Field(
        default=None,
        description="The place it was to deliver into, until it is known that nothing of it stands there.",
    )
    in_use: Annotated[list[str], Field(max_length=8)] = Field(
        default_factory=list,
        description="Ids of its keys that somebody uses: they are left alive and reported as strays.",
    )

    @property
    def begun(self) -> datetime:
        """No key of it is older than this, as far as is known."""
        return self.started_at or self.closed_at


class Issuance(Kind):
    """One delivery, as the storm guard remembers it."""

    at: Timestamp = Field(description="When it was settled.")
    reason: str = Field(description="Why the key was issued.")


class ScheduleInForce(Kind):
    """spec.rotation's schedule as it was last acted upon, and from when its times count."""

    expression: str = Field(description="spec.rotation.schedule.")
    time_zone: str | None = Field(default=None, description="spec.rotation.timeZone.")
    since: Timestamp = Field(
        description="When it was first seen, or the current key was issued, whichever is later: a time before is not made up."
    )


class TargetStatus(Kind):
    """Where the key is now."""

    kind: Literal["Secret", "Vault"] = Field(description="Secret or Vault.")
    name: str = Field(description="The Secret's name, or store and path.")
    key: str | None = Field(
        default=None, description="The data key or field that holds the plaintext; absent with a template."
    )
    adopted: bool = Field(
        default=False,
        description="Whether somebody else made the Secret: then only keywright's keys go with the ApiKey.",
    )


class PendingRollout(Kind):
    """A workload of rotation.restart that is still to be restarted, or whose rollout is waited for."""

    kind: Literal["Deployment", "StatefulSet", "DaemonSet", "Rollout"] = Field(description="The workload's kind.")
    name: str = Field(description="The workload's name.")
    restarted_at: Timestamp | None = Field(
        default=None, description="When its pod template was given the key's id, which rolls it. Absent: not yet."
    )
    trouble: str | None = Field(
        default=None, description="What keeps it from being restarted or from coming to an end, where that is known."
    )

    @property
    def workload(self) -> RestartRef:
        """As the spec names it."""
        return RestartRef(kind=self.kind, name=self.name)


class RolloutStatus(Kind):
    """The restart of rotation.restart's workloads for the current key; there until nothing of it is pending or waited for."""

    revision: int = Field(description="The revision that the workloads are restarted for.")
    since: Timestamp = Field(description="When that key was delivered.")
    pending: Annotated[list[PendingRollout], Field(max_length=16)] = Field(
        description="What is still to be restarted, or to come to an end before the older keys are revoked."
    )


class NextStep(Kind):
    """What happens next, when, and what holds it."""

    action: str = Field(description="Renew, Rotate, Revoke, Retry, Release or None.")
    at: Timestamp | None = Field(default=None, description="When.")
    reason: str = Field(description="Why, or what it waits for.")


class ApiKeyStatus(Kind):
    """What keywright knows of the key. Never the plaintext."""

    observed_generation: int | None = Field(default=None, description="The metadata.generation last acted upon.")
    revision: int = Field(default=0, description="How many keys have been delivered.")
    key_id: str | None = Field(default=None, description="The current key's id at the issuer.")
    issuer: KeyIssuerIdentity | None = Field(default=None, description="The issuer that made the current key.")
    masked_key: str | None = Field(
        default=None, description="The key as the platform shows it: first and last four characters."
    )
    workspace: WorkspaceStatus | None = Field(default=None, description="The workspace the key belongs to.")
    issued_as: IssuedAs | None = Field(default=None, description="What was asked for when the current key was issued.")
    issued_at: Timestamp | None = Field(default=None, description="When the current key was issued.")
    expires_at: Timestamp | None = Field(
        default=None, description="The end of the key's last day, in the issuer's own words."
    )
    renewal_time: Timestamp | None = Field(
        default=None,
        description="When the key is replaced next by time: before its last day or by the schedule, whichever is first.",
    )
    schedule: ScheduleInForce | None = Field(
        default=None, description="The schedule in force, and since when; absent without one."
    )
    last_used: date | None = Field(default=None, description="The day the issuer last saw the key used.")
    previous: Annotated[list[PreviousKey], Field(max_length=8)] = Field(
        default_factory=list, description="Older keys that still live."
    )
    rollout: RolloutStatus | None = Field(
        default=None, description="The restart of rotation.restart's workloads, while it is under way."
    )
    attempt: Attempt | None = Field(default=None, description="The try under way.")
    closed_attempts: Annotated[list[ClosedAttempt], Field(max_length=64)] = Field(
        default_factory=list, description="Tries of the last day that delivered nothing."
    )
    handled: Handled = Field(default_factory=Handled, description="Trigger annotations that have been answered.")
    failures: int = Field(default=0, description="Attempts in a row that delivered nothing.")
    recent_issuances: Annotated[list[Issuance], Field(max_length=8)] = Field(
        default_factory=list, description="The last deliveries: the storm guard counts them."
    )
    next_attempt_at: Timestamp | None = Field(default=None, description="No attempt before this time.")
    grant_lost_at: Timestamp | None = Field(
        default=None,
        description="Since when no grant of the issuer names this namespace and workspace, where its onGrantLost says Revoke: the key "
        "ends 10 minutes later.",
    )
    target: TargetStatus | None = Field(default=None, description="Where the key is now.")
    next: NextStep | None = Field(default=None, description="What happens next, when, and what holds it.")
    conditions: Conditions = Field(
        default_factory=list, description="Ready, Reconciling, Stalled, as kstatus reads them."
    )

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the API: what says nothing (an empty list, no failures) is left out, for whoever reads it."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)

    def condition(self, of_type: str) -> Condition | None:
        """The condition of this type, if it stands."""
        return next((c for c in self.conditions if c.type == of_type), None)
