"""What the planner is told of the world: plain values, each of which may be unknown, absent or there.

Nothing here is fetched by the planner; a fact that it lacks it asks for with `Look`. Unknown is never taken for absent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from keywright.api.apikey import KeyIssuerIdentity, RestartRef
    from keywright.api.keyissuer import KeyIssuerSpec
    from keywright.api.reasons import Reason
    from keywright.keys import AttemptId, KeyId, KeyRecord, ListedKey, ResourceKey, Workspace

__all__ = [
    "Absent",
    "Fact",
    "Failure",
    "Foreign",
    "HandMade",
    "IssuerFacts",
    "Observed",
    "Present",
    "Refusal",
    "Rewriting",
    "RolledOut",
    "Rolling",
    "RolloutState",
    "Sought",
    "Subject",
    "TargetLayout",
    "TargetState",
    "Unrolled",
]


class Fact(Enum):
    """A fact that costs a call, and is looked up only when a decision needs it."""

    ISSUER = "issuer"
    """The issuer can be used, and what workspace and user are to it."""
    TARGET = "target"
    """What stands at the target, read fresh."""
    REHEARSAL = "rehearsal"
    """Whether a write to the target would be accepted."""
    LISTING = "listing"
    """This ApiKey's live keys at the issuer, listed fresh."""
    ROLLOUT = "rollout"
    """How far the rollout of one workload is."""
    GRANT = "grant"
    """The issuer that made the current key, and the workspace that it was made in, as they are now: whether a grant allows it still."""
    NAMESPACE = "namespace"
    """Whether the namespace is on its way out, and all that is in it."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The ApiKey itself, less spec and status."""

    key: ResourceKey
    uid: str
    generation: int
    created_at: datetime
    deleting: bool
    finalizer: bool
    rotate: str | None
    compromised: str | None
    abandon: bool


@dataclass(frozen=True, slots=True)
class TargetLayout:
    """How a target is laid out, and where it is: `name` is its place. Labels, annotations and type are a Secret's, `merge` is Vault's.

    `adopted`: somebody else made it and keywright took it over, so that it never goes with its ApiKey.
    """

    namespace: str
    name: str
    key: str
    template: Mapping[str, str] | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    type: str
    adopted: bool = False
    merge: bool = False
    """Whether what other people keep at the place stays."""


@dataclass(frozen=True, slots=True)
class Sought:
    """What a read looks for in a Secret that may have been stripped of all that keywright wrote on it.

    The plaintext with the digest of `record` (None: of no key), laid out as in `layout`.
    """

    layout: TargetLayout
    record: KeyRecord | None


@dataclass(frozen=True, slots=True)
class HandMade:
    """A value that stands under a data key of ours and that keywright did not write.

    `ending`: its last four characters, None where it is too short to show them, or no key by its looks.
    """

    key: str
    ending: str | None


@dataclass(frozen=True, slots=True)
class Absent:
    """Nothing stands there: known, not guessed."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """Something stands there that says nothing of this ApiKey; `whose` is a phrase for the user.

    `adoptable_by` is the ApiKey, by name, that may take it over. `digest` is that of the plaintext that was sought, where it
    stands there and nothing says that it is another ApiKey's.
    """

    whose: str
    version: str = ""
    adoptable_by: str | None = None
    type: str = "Opaque"
    immutable: bool = False
    digest: str | None = None
    hand_made: tuple[HandMade, ...] = ()
    mergeable: bool = False


@dataclass(frozen=True, slots=True)
class Present:
    """A target made by keywright. `record` is None where nothing was delivered yet (a fence) or the record was spoilt.

    `digest` is the plaintext's, None where it is missing; `layout_digest` tells of template, labels and owner, to compare
    with the wanted one; `fence` the attempt it was fenced against. `adopted` is None where it does not tell any more.

    A read alone knows: `changed_by`, the field manager that last wrote our data keys, where they are not what was delivered;
    `hand_made`, where it was taken over and nothing was delivered yet.
    """

    owner: ResourceKey
    owner_uid: str
    version: str
    record: KeyRecord | None
    digest: str | None
    layout_digest: str
    fence: str | None
    data_keys: tuple[str, ...] = ()
    adopted: bool | None = False
    changed_by: str | None = None
    hand_made: tuple[HandMade, ...] = ()


TargetState = Absent | Present | Foreign


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not: goes to the condition. `stalled`: a person must act; `after`: seconds until it is looked at again."""

    reason: Reason
    message: str
    stalled: bool = True
    after: float | None = None


@dataclass(frozen=True, slots=True)
class IssuerFacts:
    """A usable issuer, seen with one ApiKey's eyes. `namespace_labels` is None where no grant needs them.

    `keys_in_namespace`: its namespace's ApiKeys at this issuer, up to this one by age. `held`: it cannot go before its keys do.
    """

    identity: KeyIssuerIdentity
    spec: KeyIssuerSpec
    workspace: Workspace
    user_id: str
    namespace_labels: Mapping[str, str] | None
    keys_in_namespace: int
    held: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """How this pass's attempt ended without a delivery.

    `key_id`: the key that was made, None where none is known of. `maybe_committed` False: surely none was made. `settled`: every write
    to the target got a definite refusal, so nothing can arrive there any more. `counts`: towards the circuit breaker. `after`: seconds
    of quiet, None for the backoff alone.
    """

    reason: Reason
    message: str
    key_id: KeyId | None
    maybe_committed: bool
    settled: bool
    counts: bool = True
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Rewriting:
    """A target was laid out anew, so that its layout had this digest."""

    layout_digest: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RolledOut:
    """A workload whose pods all have the newest template and are available, or that has none."""


@dataclass(frozen=True, slots=True)
class Rolling:
    """A workload whose rollout is under way. `trouble`: what keeps it, to be read behind its name; None: nothing known."""

    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Unrolled:
    """A workload that was not restarted, or that cannot be looked at.

    `missing`: there is none. `forbidden`: there is no right. `not installed`: the cluster does not serve its kind. `elsewhere`: its pod
    template is another object's. `refused`: it would not take the change. `unanswered`: nobody knows, or not now.
    """

    why: Literal["missing", "forbidden", "not installed", "elsewhere", "refused", "unanswered"]
    detail: str = ""


RolloutState = RolledOut | Rolling | Unrolled


_NOTHING: Final[Mapping[Any, Any]] = MappingProxyType({})


class Observed(NamedTuple):
    """The world as one pass of the reconciler knows it. None everywhere means: not looked at (yet).

    A tuple: each step of each pass makes another one with a field or two changed, which takes a dataclass of so many fields five times
    as long.
    """

    subject: Subject
    cluster_id: str
    min_interval: float
    late_window: float
    next_attempt: AttemptId
    """The id that an attempt gets if one is made now."""
    rival: ResourceKey | None = None
    """Another ApiKey that claims the same target and is older."""
    owner_exists: bool = True
    """Whether the ApiKey that the target belongs to, by namespace and name, is still there."""
    issuer: IssuerFacts | Refusal | None = None
    targets: Mapping[str, TargetState] = _NOTHING
    """What stands where, by its place."""
    fresh: frozenset[str] = frozenset()
    """The targets that this pass has read or written itself, by place."""
    unreadable: Refusal | None = None
    """Why a target could not be read in this pass."""
    rehearsal: Refusal | Literal[True] | None = None
    """Whether a write to the target would be accepted."""
    listing: tuple[ListedKey, ...] | Refusal | None = None
    searched: frozenset[tuple[str, str]] = frozenset()
    """What this pass has listed itself: the issuer's uid and the part of a name that was looked for. Empty: an older listing."""
    looked: Mapping[str, datetime] = _NOTHING
    """When the older listing was made, by the issuer's uid: for the issuers of closed attempts."""
    namespace_ending: bool | None = None
    """Whether the namespace is being deleted."""
    last_used: date | None = None
    """The day that the inventory has for the current key."""
    previous_used: Mapping[KeyId, date] = _NOTHING
    """The days that the inventory has for older keys."""
    maker: IssuerFacts | Refusal | None = None
    """The issuer that made the current key, seen with the workspace that the key is of, wherever the spec points by now."""
    revokes_ungranted: bool = False
    """Whether that issuer says onGrantLost: Revoke."""
    vanished: bool = False
    """Whether the issuer that the spec names lists none of the keys that it should: its admin key may be another organization's."""
    key_gone: bool = False
    """The inventory missed the current key twice in a row."""
    fresh_attempt: AttemptId | None = None
    """The attempt that this pass wrote down and has not posted yet."""
    delivered: AttemptId | None = None
    """The attempt whose key this pass has delivered, with the issuer's answer in hand."""
    failure: Failure | None = None
    revoked: frozenset[KeyId] = frozenset()
    """Keys that this pass has revoked."""
    failed_revocations: Mapping[KeyId, Refusal] = _NOTHING
    """Keys that this pass could not revoke, and why."""
    cleaned: frozenset[str] = frozenset()
    """Targets, by name, that this pass has cleaned."""
    unclean: Mapping[str, str] = _NOTHING
    """Targets, by name, that this pass could not clean, and why."""
    beyond: Mapping[str, str] = _NOTHING
    """Of the cleaned ones, those that nothing of keywright can reach any more, and why: what stands there is left."""
    pruned: frozenset[KeyId] = frozenset()
    """Dead keys of which this pass knows that no older version of their target holds them any more."""
    unpruned: Mapping[KeyId, str] = _NOTHING
    """Dead keys of which older versions could not be destroyed, and why."""
    rollouts: Mapping[tuple[str, RestartRef], RolloutState] = _NOTHING
    """What this pass has restarted or looked at: by the id of the key it is for, and the workload."""
    rewritten: Rewriting | None = None
    """The last time that a target was laid out anew without a new key, as far as this process remembers."""
