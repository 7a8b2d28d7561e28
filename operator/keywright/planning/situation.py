"""One ApiKey as the planner sees it: wanted, said, observed, and the hour. Derived values, computed nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from keywright.keys import KeyRecord, Tag, default_label
from keywright.planning import schedule
from keywright.planning.layout import Owner, layout_digest_of
from keywright.planning.observed import Foreign, Present, TargetLayout
from keywright.planning.places import in_vault, place_of

if TYPE_CHECKING:
    from datetime import datetime

    from keywright.api.apikey import ApiKeySpec, KeyIssuerIdentity
    from keywright.api.apikey_status import ApiKeyStatus
    from keywright.keys import AttemptId, ListedKey
    from keywright.planning.observed import Observed, TargetState

__all__ = ["Situation"]

_REWRITE_AGAIN: Final = timedelta(minutes=1)
"""A rewrite costs one write, the undoing of it another."""


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
    def wanted_place(self) -> str:
        """The place that the spec names."""
        return place_of(self.spec.target)

    @property
    def place(self) -> str | None:
        """The place in question: where an open attempt delivers, else where the spec says."""
        return self.status.attempt.target if self.status.attempt else self.wanted_place

    @property
    def home(self) -> str | None:
        """The place that holds the current key; without a key, the one in question."""
        return self.status.target.name if self.status.target and self.status.key_id else self.place

    @property
    def moved(self) -> bool:
        """Whether the key in question belongs elsewhere than where the current one is."""
        return self.home != self.place

    @property
    def renewal_at(self) -> datetime | None:
        """When the key is replaced before its last day, by the spec as it is now: an edit of renewBefore moves it without a new key."""
        status = self.status
        if status.issued_at is None or status.expires_at is None:
            return None
        return schedule.renewal_time(self.spec, status.issued_at, status.expires_at.date(), self.observed.subject.uid)

    @property
    def scheduled_at(self) -> datetime | None:
        """When the schedule comes round first since the key was issued: one missed time is made up once."""
        issued_at = self.status.issued_at
        return schedule.next_scheduled(self.spec.rotation, issued_at) if issued_at else None

    @property
    def layout(self) -> TargetLayout | None:
        """How the place in question shall look."""
        return self.layout_at(self.place) if self.place else None

    def layout_at(self, name: str) -> TargetLayout:
        """How a place of this kind shall look; bare where the spec describes none."""
        secret, vault, namespace = self.spec.target.secret, self.spec.target.vault, self.observed.subject.key.namespace
        if in_vault(name):
            field, template = (vault.field, vault.template) if vault else ("api_key", None)
            return TargetLayout(namespace, name, field, template, {}, {}, "", merge=vault is not None and vault.merge)
        return TargetLayout(
            namespace=namespace,
            name=name,
            key=secret.key if secret else "api-key",
            template=secret.template if secret else None,
            labels=(secret.labels if secret else None) or {},
            annotations=(secret.annotations if secret else None) or {},
            type=secret.type if secret else "Opaque",
        )

    @property
    def bound(self) -> bool:
        """Whether the target goes with its ApiKey."""
        return self.spec.deletion_policy == "Revoke"

    @property
    def home_ending(self) -> bool | None:
        """Whether the place of the current key goes with its namespace, which is being deleted; None: not known yet."""
        return False if in_vault(self.home) else self.observed.namespace_ending

    @property
    def owner(self) -> Owner:
        """Whose the target is to be."""
        subject = self.observed.subject
        return Owner(subject.key, subject.uid, self.observed.cluster_id, self.bound)

    @property
    def target(self) -> TargetState | None:
        """What stands at the place in question."""
        return self.observed.targets.get(self.place) if self.place else None

    @property
    def target_fresh(self) -> bool:
        """Whether this pass has read it itself."""
        return self.place is None or self.place in self.observed.fresh

    @property
    def record(self) -> KeyRecord | None:
        """The delivered record at the place in question."""
        return self.record_at(self.place)

    def record_at(self, name: str | None) -> KeyRecord | None:
        """The record at a place, where it is ours and the plaintext beside it is the one that was delivered."""
        target = self.observed.targets.get(name) if name else None
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

    def laid_out_at(self, name: str | None) -> bool:
        """Whether a place looks as the spec says, the key apart."""
        target = self.observed.targets.get(name) if name else None
        return (
            isinstance(target, Present)
            and name is not None
            and target.layout_digest == layout_digest_of(self.layout_at(name), self.owner)
        )

    def undone_until(self, name: str) -> datetime | None:
        """Where somebody undid a layout that was just written: when to mend it again. Else two writers would never stop."""
        last = self.observed.rewritten
        if last is None or last.layout_digest != layout_digest_of(self.layout_at(name), self.owner):
            return None
        again = last.at + _REWRITE_AGAIN
        return again if self.now < again <= self.now + _REWRITE_AGAIN else None

    @property
    def target_version(self) -> str | None:
        """What the next write to the target expects."""
        return self.target.version if isinstance(self.target, Present) else None

    @property
    def target_is_foreign(self) -> bool:
        """Known to belong to somebody else."""
        return isinstance(self.target, Foreign) or (isinstance(self.target, Present) and not self.is_mine(self.target))

    @property
    def own_search(self) -> str:
        """What the names of all keys of this ApiKey contain."""
        return Tag.search(self.observed.cluster_id, self.observed.subject.uid)

    def searched(self, issuer: KeyIssuerIdentity, search: str | None = None) -> bool:
        """Whether this pass has listed these keys (the ApiKey's own, unless told) at this issuer."""
        return (issuer.uid, search or self.own_search) in self.observed.searched

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
