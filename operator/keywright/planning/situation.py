"""One ApiKey as the planner sees it: wanted, said, observed, and the hour. Derived values, computed nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from keywright.keys import KeyRecord, Tag, default_label
from keywright.planning.layout import Owner, layout_digest_of
from keywright.planning.observed import Foreign, Present, TargetLayout

if TYPE_CHECKING:
    from datetime import datetime

    from keywright.api.apikey import ApiKeySpec, ApiKeyStatus
    from keywright.keys import AttemptId, ListedKey
    from keywright.planning.observed import Observed

__all__ = ["Situation"]


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a rule may look at."""

    spec: ApiKeySpec
    status: ApiKeyStatus
    observed: Observed
    now: datetime

    def with_status(self, status: ApiKeyStatus) -> Situation:
        """The same, had the status been written already."""
        return replace(self, status=status)

    @property
    def label(self) -> str:
        """The key's human name at the issuer."""
        key = self.observed.subject.key
        return self.spec.label or default_label(key.namespace, key.name)

    @property
    def layout(self) -> TargetLayout | None:
        """How the Secret shall look; None where the target is no Secret."""
        secret = self.spec.target.secret
        if secret is None:
            return None
        return TargetLayout(
            namespace=self.observed.subject.key.namespace,
            name=secret.name,
            key=secret.key,
            template=secret.template,
            labels=secret.labels or {},
            annotations=secret.annotations or {},
            type=secret.type,
        )

    @property
    def bound(self) -> bool:
        """Whether the target goes with its ApiKey."""
        return self.spec.deletion_policy == "Revoke"

    @property
    def owner(self) -> Owner:
        """Whose the target is to be."""
        subject = self.observed.subject
        return Owner(subject.key, subject.uid, self.observed.cluster_id, self.bound)

    @property
    def record(self) -> KeyRecord | None:
        """The record in the target, where it is ours and the plaintext beside it is the one that was delivered."""
        target = self.observed.target
        if (
            isinstance(target, Present)
            and self.is_mine(target)
            and target.record
            and target.record.digest == target.digest
        ):
            return target.record
        return None

    def is_mine(self, target: Present) -> bool:
        """Made for an ApiKey of this very namespace and name by this cluster: also for one that was re-created since."""
        return target.owner == self.observed.subject.key

    @property
    def laid_out(self) -> bool:
        """Whether the target looks as the spec says, the key apart."""
        target, layout = self.observed.target, self.layout
        return (
            isinstance(target, Present)
            and layout is not None
            and target.layout_digest == layout_digest_of(layout, self.owner)
        )

    @property
    def moved(self) -> bool:
        """Whether the spec names another place than the one that holds the key."""
        place, layout = self.status.target, self.layout
        return place is not None and layout is not None and place.name != layout.name

    @property
    def target_version(self) -> str | None:
        """What the next write to the target expects."""
        target = self.observed.target
        return target.version if isinstance(target, Present) else None

    @property
    def target_is_foreign(self) -> bool:
        """Known to belong to somebody else."""
        target = self.observed.target
        return isinstance(target, Foreign) or (isinstance(target, Present) and not self.is_mine(target))

    @property
    def listed(self) -> tuple[ListedKey, ...]:
        """The ApiKey's own keys as listed; empty where nothing was."""
        listing = self.observed.listing
        return listing if isinstance(listing, tuple) else ()

    def attempt_of(self, key: ListedKey) -> AttemptId | None:
        """The attempt of this ApiKey that made a listed key."""
        tag = Tag.parse(key.name)
        if tag is None or tag.cluster != self.observed.cluster_id or tag.uid8 != self.observed.subject.uid[:8]:
            return None
        return tag.attempt
