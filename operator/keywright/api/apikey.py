"""The ApiKey kind: what a user asks for, and what keywright answers in its status.

The one source of crds/apikeys.yaml. Holds shapes and the rules that one object alone can break (CEL, checked by the
apiserver); what depends on the world or the clock is planning's.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, JsonValue

from keywright.api.base import Condition, Conditions, DataKey, Kind, ObjectName, Timestamp, rules
from keywright.api.durations import Duration, DurationOrPercent, Validity
from keywright.api.syntax import (
    AnnotationMap,
    CalendarDate,
    CronSchedule,
    KeyLabel,
    LabelMap,
    SecretTemplate,
    SecretType,
    StorePath,
    TimeZoneName,
    VaultField,
    VaultTemplate,
    WorkspaceName,
)

__all__ = [
    "ApiKeySpec",
    "ApiKeyStatus",
    "Attempt",
    "ClosedAttempt",
    "Expiry",
    "Handled",
    "Issuance",
    "IssuedAs",
    "IssuerRef",
    "KeyIssuerIdentity",
    "NextStep",
    "PreviousKey",
    "RestartRef",
    "Rotation",
    "SecretTarget",
    "StoreRef",
    "Target",
    "TargetStatus",
    "VaultTarget",
    "WorkspaceStatus",
]


class IssuerRef(Kind):
    """Which issuer makes the key."""

    kind: Literal["KeyIssuer", "ClusterKeyIssuer"] = Field(
        default="KeyIssuer", description="KeyIssuer (of the same namespace) or ClusterKeyIssuer."
    )
    name: ObjectName = Field(description="The issuer's name.")


class Expiry(Kind):
    """When the key ends: one of validity, date."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "has(self.validity) || has(self.date)",
                "expiry is empty: write validity, such as 90d, or date, such as 2027-01-31, or remove expiry",
            ),
            (
                "!has(self.validity) || !has(self.date)",
                "expiry has both validity and date: keep validity for a key that is renewed, date for one that ends",
            ),
            (
                "!has(self.afterEnd) || has(self.date)",
                "afterEnd has an effect with date only: remove it, or write date in place of validity",
            ),
        )
    )

    validity: Validity | None = Field(
        default=None,
        description="Whole days, counted from each issuance, such as 90d. The key works through the end of its last day (UTC).",
    )
    date: CalendarDate | None = Field(
        default=None,
        description="A fixed last day, such as 2027-01-31 (UTC). Keys rotated for other reasons keep it; time never renews them.",
    )
    after_end: Literal["Keep", "Clean"] | None = Field(
        default=None,
        description="With date: what becomes of the target once the day is over. Keep (the default) leaves it, Clean removes it.",
    )


class RestartRef(Kind):
    """A workload to roll after each delivery."""

    kind: Literal["Deployment", "StatefulSet", "DaemonSet", "Rollout"] = Field(description="The workload's kind.")
    name: ObjectName = Field(description="The workload's name, in the ApiKey's namespace.")


_ONE_PER_WORKLOAD: Final[dict[str, JsonValue]] = {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["kind", "name"],
}


class Rotation(Kind):
    """When and how the key is replaced."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.timeZone) || has(self.schedule)",
                "timeZone has an effect with schedule only: remove it, or write a schedule, such as 0 3 1 * *",
            )
        )
    )

    renew_before: DurationOrPercent | None = Field(
        default=None,
        description="How long before the start of the last day the key is replaced: a duration (30m, 12h, 15d) or a percentage of "
        'the validity ("33%"). Default: a third of the validity.',
    )
    schedule: CronSchedule | None = Field(
        default=None, description="Also replace the key by this cron schedule of five fields, such as 0 3 1 * *."
    )
    time_zone: TimeZoneName | None = Field(
        default=None, description="The IANA time zone of the schedule, such as Europe/Paris. Default: UTC."
    )
    overlap: Duration = Field(
        default="48h",
        description="How long the old key lives after the new one is delivered, never past its own expiry. 0s revokes it at once: "
        "whoever still holds it then fails.",
    )
    restart: Annotated[list[RestartRef], Field(max_length=16, json_schema_extra=_ONE_PER_WORKLOAD)] | None = Field(
        default=None,
        description="Workloads to roll after each delivery; the old key then also waits for the rollouts, at most 24h.",
    )


class SecretTarget(Kind):
    """A Kubernetes Secret in the ApiKey's namespace."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.template) || self.key == 'api-key'",
                "template replaces key: remove key, and write its data key into template with the value ${api_key}",
            ),
            (
                "self.name != oldSelf.name || self.type == oldSelf.type",
                "Kubernetes cannot change the type of a Secret in place: write the old type back, or change name too",
            ),
        )
    )

    name: ObjectName = Field(
        description="The Secret's name. keywright creates it; one that somebody else made is never touched."
    )
    key: DataKey = Field(
        default="api-key", description="The data key that holds the plaintext. Not used with template."
    )
    template: SecretTemplate | None = Field(
        default=None,
        description="Data keys and texts to write in place of key. Variables: ${api_key}, ${key_id}, ${expires_at}, ${workspace}; $$ is a "
        "dollar. At least one text must contain ${api_key}.",
    )
    labels: LabelMap | None = Field(default=None, description="Labels added to the Secret.")
    annotations: AnnotationMap | None = Field(default=None, description="Annotations added to the Secret.")
    type: SecretType = Field(
        default="Opaque", description="The Secret's type. It cannot be changed later, except with name."
    )
    adopt: bool = Field(
        default=False,
        description="Take over an existing Secret that carries the annotation keywright.dev/adoptable-by: <ApiKey>. Its other data stays, "
        "and on deletion only keywright's keys go.",
    )


class StoreRef(Kind):
    """Which Vault."""

    kind: Literal["VaultStore", "ClusterVaultStore"] = Field(
        default="VaultStore", description="VaultStore (of the same namespace) or ClusterVaultStore."
    )
    name: ObjectName = Field(description="The store's name.")


class VaultTarget(Kind):
    """A path in a HashiCorp Vault KV v2 mount."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.template) || self.field == 'api_key'",
                "template replaces field: remove field, and write its name into template with the value ${api_key}",
            )
        )
    )

    store_ref: StoreRef = Field(description="The Vault to write to.")
    path: StorePath = Field(description="The path below the store's mount and prefix.")
    field: VaultField = Field(
        default="api_key", description="The field that holds the plaintext. Not used with template."
    )
    template: VaultTemplate | None = Field(
        default=None, description="Fields and texts to write in place of field, as for secret."
    )
    merge: bool = Field(default=False, description="Keep other fields that stand at the path.")


class Target(Kind):
    """Where the plaintext goes: exactly one of secret, vault."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "has(self.secret) || has(self.vault)",
                "target is empty: write secret with the name of the Secret to deliver into, or vault with storeRef and path",
            ),
            (
                "!has(self.secret) || !has(self.vault)",
                "target has both secret and vault: keep one, and write a second ApiKey for the other",
            ),
        )
    )

    secret: SecretTarget | None = Field(
        default=None, description="Deliver into a Kubernetes Secret of the same namespace."
    )
    vault: VaultTarget | None = Field(default=None, description="Deliver into HashiCorp Vault.")


_RENEWED_IN_TIME: Final = (
    "!has(self.rotation) || !has(self.rotation.renewBefore) || !self.rotation.renewBefore.matches('^[0-9]{1,5}[hd]$')"
    " || !has(self.expiry) || !has(self.expiry.validity) || !self.expiry.validity.matches('^[0-9]{1,4}d$')"
    " || int(self.rotation.renewBefore.replace('h', '').replace('d', ''))"
    " < int(self.expiry.validity.replace('d', '')) * (self.rotation.renewBefore.endsWith('h') ? 24 : 1)"
)
"""Compares what is written in hours or days; a third of the validity stands in for the rest where it leaves no time."""


class ApiKeySpec(Kind):
    """The key that is wanted."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.rotation) || !has(self.rotation.renewBefore) || has(self.expiry)",
                "rotation.renewBefore counts back from an expiry: write expiry.validity, such as 90d, or remove renewBefore",
            ),
            (
                "!has(self.rotation) || !has(self.rotation.renewBefore) || !has(self.expiry) || !has(self.expiry.date)",
                "rotation.renewBefore has no effect beside expiry.date: remove it, or write expiry.validity in place of date",
            ),
            (
                _RENEWED_IN_TIME,
                "rotation.renewBefore must be shorter than expiry.validity: write a shorter one, or remove it for the default, a third",
            ),
        )
    )

    issuer_ref: IssuerRef = Field(description="The issuer that makes the key.")
    workspace: WorkspaceName = Field(
        description="The workspace the key belongs to: its name or uuid at the platform. Organization-level keys do not exist."
    )
    label: KeyLabel | None = Field(
        default=None, description="The key's human name at the platform. Default: <namespace>/<name>."
    )
    expiry: Expiry | None = Field(
        default=None,
        description="When the key ends. Without it the key never expires, which the platform advises against.",
    )
    rotation: Rotation | None = Field(default=None, description="When and how the key is replaced.")
    target: Target = Field(description="Where the plaintext is delivered.")
    deletion_policy: Literal["Revoke", "Retain"] = Field(
        default="Revoke",
        description="What becomes of the key when the ApiKey is deleted. Revoke: it is revoked and the target cleaned. Retain: both stay.",
    )
    suspend: bool = Field(
        default=False,
        description="Stop issuing, renewing and repairing. Deletion still revokes, and an overlap under way still ends.",
    )


class KeyIssuerIdentity(Kind):
    """One very issuer object: a re-created one of the same name has another uid."""

    kind: Literal["KeyIssuer", "ClusterKeyIssuer"] = Field(description="KeyIssuer or ClusterKeyIssuer.")
    name: str = Field(description="Its name.")
    uid: str = Field(description="Its metadata.uid.")


class WorkspaceStatus(Kind):
    """The workspace the key was issued in."""

    id: str = Field(description="Its uuid at the platform, pinned while spec.workspace is unchanged.")
    name: str | None = Field(default=None, description="Its name when last resolved.")


class IssuedAs(Kind):
    """What was asked for when the current key was issued: an edit since then shows as a difference to the spec."""

    workspace: str = Field(description="spec.workspace as it was.")
    label: str = Field(description="The label the key got.")
    expiry: str | None = Field(default=None, description="spec.expiry as it was: a validity (90d) or a date.")


class PreviousKey(Kind):
    """An older key that still lives, for the overlap."""

    key_id: str = Field(description="Its id at the issuer.")
    issuer: KeyIssuerIdentity = Field(description="The issuer that made it, where it is revoked.")
    revoke_at: Timestamp = Field(description="When it is revoked.")
    target: str | None = Field(
        default=None, description="The Secret it stood in, where that is another one than now: cleaned with it."
    )


class Attempt(Kind):
    """One try to create one key, written down before the request."""

    id: str = Field(description="Random; part of the key's name at the issuer.")
    started_at: Timestamp = Field(description="When it was written down.")
    reason: str = Field(description="Why a key is issued.")
    generation: int = Field(description="The metadata.generation it was decided for.")
    issuer: KeyIssuerIdentity = Field(description="The issuer asked.")
    target: str = Field(description="The Secret it delivers into.")
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


class Handled(Kind):
    """Values of the trigger annotations that have been answered."""

    rotate: str | None = Field(default=None, description="The last keywright.dev/rotate answered.")
    compromised: str | None = Field(default=None, description="The last keywright.dev/compromised answered.")


class Issuance(Kind):
    """One delivery, as the storm guard remembers it."""

    at: Timestamp = Field(description="When it was settled.")
    reason: str = Field(description="Why the key was issued.")


class TargetStatus(Kind):
    """Where the key is now."""

    kind: Literal["Secret", "Vault"] = Field(description="Secret or Vault.")
    name: str = Field(description="The Secret's name, or store and path.")
    key: str | None = Field(
        default=None, description="The data key or field that holds the plaintext; absent with a template."
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
    renewal_time: Timestamp | None = Field(default=None, description="When the key is replaced next by time.")
    last_used: date | None = Field(default=None, description="The day the issuer last saw the key used.")
    previous: Annotated[list[PreviousKey], Field(max_length=8)] = Field(
        default_factory=list, description="Older keys that still live."
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


Attempt.model_rebuild()
