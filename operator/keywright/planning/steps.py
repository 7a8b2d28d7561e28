"""What a decision can be: one step, its reason, a sentence, and the events to write once it is done.

A step has one outside effect, but for IssueAndDeliver: the plaintext lives in memory only, so making a key and delivering it
is one. A step that writes a status carries the whole next status (outcome.py and transitions.py compute it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import date, datetime

    from keywright.api.apikey import KeyIssuerIdentity, RestartRef
    from keywright.api.apikey_status import ApiKeyStatus, Attempt
    from keywright.api.reasons import Reason
    from keywright.keys import KeyId, KeyRecord
    from keywright.planning.observed import Fact, TargetLayout

__all__ = [
    "AddFinalizer",
    "CleanTarget",
    "Decision",
    "FenceTarget",
    "HoldIssuer",
    "IssueAndDeliver",
    "Look",
    "Note",
    "PruneTarget",
    "ReleaseFinalizer",
    "RestartWorkload",
    "RevokeKey",
    "RewriteTarget",
    "Step",
    "Wait",
    "WriteStatus",
]


@dataclass(frozen=True, slots=True)
class Look:
    """Find out a fact. `target`: the place to read, for Fact.TARGET; `issuer` and `search`: what to list, for Fact.LISTING.

    `workload`: what to look at, for Fact.ROLLOUT.
    """

    fact: Fact
    target: str | None = None
    issuer: KeyIssuerIdentity | None = None
    search: str = ""
    workload: RestartRef | None = None


@dataclass(frozen=True, slots=True)
class AddFinalizer:
    """Put the finalizer on."""


@dataclass(frozen=True, slots=True)
class HoldIssuer:
    """Put the finalizer on the issuer, unless another ApiKey has done so."""

    issuer: KeyIssuerIdentity


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Replace the status, guarded. `purpose` names the write in logs and metrics."""

    status: ApiKeyStatus
    purpose: Literal["intent", "settle", "close", "drop", "report"]


@dataclass(frozen=True, slots=True)
class IssueAndDeliver:
    """POST once, check, deliver. `version`: what stands at the target now, None for nothing."""

    attempt: Attempt
    label: str
    workspace_id: str
    workspace_name: str
    workspace: str
    user_id: str
    expiration: date | None
    expiry: str | None
    revision: int
    layout: TargetLayout
    version: str | None
    check: bool


@dataclass(frozen=True, slots=True)
class FenceTarget:
    """Touch the target so that whoever still holds this attempt's plaintext cannot deliver it."""

    attempt: Attempt
    layout: TargetLayout
    version: str | None


@dataclass(frozen=True, slots=True)
class RevokeKey:
    """Delete one recorded key at the issuer that made it."""

    key_id: KeyId
    issuer: KeyIssuerIdentity


@dataclass(frozen=True, slots=True)
class RewriteTarget:
    """Lay the key of this record out anew, where it stands."""

    layout: TargetLayout
    record: KeyRecord


@dataclass(frozen=True, slots=True)
class CleanTarget:
    """Remove what is ours at a target of this name."""

    name: str
    version: str | None


@dataclass(frozen=True, slots=True)
class PruneTarget:
    """Destroy what older versions of a target still hold of a dead key."""

    name: str
    key_id: KeyId


@dataclass(frozen=True, slots=True)
class RestartWorkload:
    """Write one annotation into a workload's pod template, which rolls it; one that carries this value already stays as it is."""

    workload: RestartRef
    annotation: str
    value: str


@dataclass(frozen=True, slots=True)
class ReleaseFinalizer:
    """Let a deleted ApiKey go."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before this time; None: before something changes."""

    until: datetime | None


Step = (
    Look
    | AddFinalizer
    | HoldIssuer
    | WriteStatus
    | IssueAndDeliver
    | FenceTarget
    | RevokeKey
    | RewriteTarget
    | CleanTarget
    | PruneTarget
    | RestartWorkload
    | ReleaseFinalizer
    | Wait
)


@dataclass(frozen=True, slots=True)
class Note:
    """An event about the ApiKey, written after the step has succeeded."""

    type: Literal["Normal", "Warning"]
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """One step, and why."""

    step: Step
    reason: Reason
    message: str
    notes: tuple[Note, ...] = ()
