"""One ApiKey as the planner sees it: wanted, said, observed, and the hour. Derived values, computed nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final

from keywright.api.apikey_status import ScheduleInForce
from keywright.keys import AttemptId, KeyId, KeyRecord, Tag, default_label
from keywright.planning import schedule
from keywright.planning.layout import Owner, layout_digest_of
from keywright.planning.observed import Absent, Foreign, Present, TargetLayout
from keywright.planning.places import in_vault, place_of

if TYPE_CHECKING:
    from datetime import datetime

    from keywright.api.apikey import ApiKeySpec, KeyIssuerIdentity
    from keywright.api.apikey_status import ApiKeyStatus
    from keywright.keys import ListedKey
    from keywright.planning.observed import Observed, TargetState

__all__ = ["Situation"]

_REWRITE_AGAIN: Final = timedelta(minutes=1)
"""A rewrite costs one write, the undoing of it another."""
_CLOCK_WENT_BACK: Final = timedelta(days=1)
"""A schedule that counts from further ahead than this counts from now; less than this is waited for, so that no time runs twice."""


@dataclass(frozen=True)
class Situation:
    """All that a rule may look at. Without slots: what many rules ask for is computed once."""

    spec: ApiKeySpec
    status: ApiKeyStatus
    observed: Observed
    now: datetime

    def with_status(self, status: ApiKeyStatus) -> Situation:
        """The same, had the status been written already."""
        return Situation(self.spec, status, self.observed, self.now)

    @property
    def label(self) -> str:
        """The key's human name at the issuer."""
        key = self.observed.subject.key
        return self.spec.label or default_label(key.namespace, key.name)

    @property
    def wanted_place(self) -> str:
        """The place that the spec names."""
        return place_of(self.spec.target)

    @cached_property
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

    @cached_property
    def renewal_at(self) -> datetime | None:
        """When the key is replaced before its last day, by the spec as it is now: an edit of renewBefore moves it without a new key."""
        status = self.status
        if status.issued_at is None or status.expires_at is None:
            return None
        return schedule.renewal_time(self.spec, status.issued_at, status.expires_at.date(), self.observed.subject.uid)

    @cached_property
    def scheduled_at(self) -> datetime | None:
        """When the schedule comes round first since it counts: one missed time is made up once, and none past expiry.date."""
        in_force = self.schedule_in_force
        if in_force is None or self.status.issued_at is None:
            return None
        at, end = schedule.next_scheduled(self.spec.rotation, in_force.since), schedule.fixed_end(self.spec)
        return None if at and end and at > end else at

    @cached_property
    def schedule_in_force(self) -> ScheduleInForce | None:
        """The schedule, and since when: as it stands in the status, or from now on where it was written or edited since.

        An older version left no word of it: there, a spec that is not edited counts from the issuance. A time far ahead is that
        of a clock that went back since.
        """
        rotation, said = self.spec.rotation, self.status.schedule
        if not rotation or not rotation.schedule:
            return None
        since = self.now.replace(microsecond=0)
        if said is None and self.status.observed_generation == self.observed.subject.generation:
            since = self.status.issued_at or since
        elif said and (said.expression, said.time_zone) == (rotation.schedule, rotation.time_zone):
            since = said.since
        if since > self.now + _CLOCK_WENT_BACK:
            since = self.now.replace(microsecond=0)
        return ScheduleInForce(expression=rotation.schedule, time_zone=rotation.time_zone, since=since)

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
            adopted=self.adopted_at(name),
        )

    def adopted_at(self, name: str) -> bool:
        """Whether a Secret was, or is to be, taken over from somebody: the foreign data in it must outlive the ApiKey.

        Its own word counts; where that was stripped, the status' word.
        """
        target, said = self.observed.targets.get(name), self.status.target
        if isinstance(target, Absent) or (isinstance(target, Foreign) and self.may_adopt(name)):
            return isinstance(target, Foreign)
        if isinstance(target, Present) and target.adopted is not None:
            return target.adopted
        return said is not None and said.name == name and said.adopted

    def may_adopt(self, name: str | None) -> bool:
        """Whether what stands there is somebody's, and both the spec and its own annotation say that this ApiKey may have it."""
        target, secret = self.observed.targets.get(name or ""), self.spec.target.secret
        return (
            isinstance(target, Foreign)
            and secret is not None
            and (secret.adopt, secret.name) == (True, name)
            and target.adoptable_by == self.observed.subject.key.name
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

    @cached_property
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
            and not self._forged(target.record)
        ):
            return target.record
        return None

    def _forged(self, record: KeyRecord) -> bool:
        """It names the current key beside another plaintext than was delivered: whoever may edit a Secret can write any record."""
        issued = self.status.issued_as
        known = issued.digest if issued and record.key_id == self.status.key_id else None
        return known not in (None, record.digest)

    @cached_property
    def delivered(self) -> KeyRecord | None:
        """The current key's record as it was delivered, put together from the status; None where an older version wrote that."""
        status, issued, subject = self.status, self.status.issued_as, self.observed.subject
        if not (status.key_id and status.issuer and status.masked_key and status.workspace and status.issued_at):
            return None
        if issued is None or issued.digest is None or issued.attempt is None:
            return None
        return KeyRecord(
            key_id=KeyId(status.key_id),
            attempt=AttemptId(issued.attempt),
            revision=status.revision,
            cluster=self.observed.cluster_id,
            owner=subject.key,
            owner_uid=subject.uid,
            issuer=status.issuer,
            masked=status.masked_key,
            digest=issued.digest,
            issued_at=status.issued_at,
            expires_on=status.expires_at.date() if status.expires_at else None,
            workspace_id=status.workspace.id,
            workspace_name=status.workspace.name,
            workspace=issued.workspace,
            label=issued.label,
            expiry=issued.expiry,
            handled=status.handled,
        )

    @cached_property
    def stripped(self) -> KeyRecord | None:
        """The current key's record, where its plaintext still stands in its Secret and the record beside it is gone or spoilt.

        A Secret that says nothing of us is known to be ours by two things: the status, which only we write, says that the key
        stands at this name; and there stands a plaintext with the digest that the status remembers, which nobody can have put
        there but we, or somebody who has read it from there. What whoever may edit the Secret wrote into its annotations is not
        asked, so that nothing can be gained by forging them: the record is written anew from the status, no key is made and none
        revoked. One that names another ApiKey is that one's, whatever stands in it.
        """
        here, target = self.record_at(self.home), self.observed.targets.get(self.home or "")
        if here is not None and here.key_id == self.status.key_id:
            return None  # as nearly always: the record from the status need not be put together
        if not isinstance(target, Present | Foreign) or (isinstance(target, Present) and not self.is_mine(target)):
            return None
        record = self.delivered
        return record if record is not None and target.digest == record.digest else None

    @cached_property
    def key_stands(self) -> bool:
        """Whether the current key stands in its Secret: by the record beside it, or by its plaintext alone."""
        record = self.record_at(self.home)
        return self.stripped is not None or (record is not None and record.key_id == self.status.key_id)

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
        target = self.target
        if isinstance(target, Present) or (isinstance(target, Foreign) and self.may_adopt(self.place)):
            return target.version
        return None

    @property
    def target_is_foreign(self) -> bool:
        """Known to belong to somebody else, who does not give it away."""
        if isinstance(self.target, Present):
            return not self.is_mine(self.target)
        return isinstance(self.target, Foreign) and not self.may_adopt(self.place)

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
