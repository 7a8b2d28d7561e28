"""The ApiKey kind: what a user asks for. What keywright answers is in apikey_status.py.

The one source of crds/apikeys.yaml, with that. Holds shapes and the rules that one object alone can break (CEL, checked by the
apiserver); what depends on the world or the clock is planning's.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, JsonValue

from keywright.api.base import DataKey, Kind, ObjectName, rules
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
    "FINALIZER",
    "ApiKeySpec",
    "Expiry",
    "IssuerRef",
    "KeyIssuerIdentity",
    "RestartRef",
    "Rotation",
    "SecretTarget",
    "StoreRef",
    "Target",
    "VaultTarget",
    "called",
]

FINALIZER: Final = "keywright.dev/revoke"
"""What keeps a deleted ApiKey until its keys are revoked."""


class IssuerRef(Kind):
    """Which issuer makes the key."""

    kind: Literal["KeyIssuer", "ClusterKeyIssuer"] = Field(
        default="KeyIssuer", description="KeyIssuer (of the same namespace) or ClusterKeyIssuer."
    )
    name: ObjectName = Field(description="The issuer's name.")


def called(kind: str, name: str) -> str:
    """An issuer as messages call it: keyissuer/NAME, clusterkeyissuer/NAME; the bare word is cert-manager's."""
    return f"{kind.lower()}/{name}"


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
        description="Workloads to restart once after each delivery, by an annotation of their pod template; an edit counts from the next "
        "delivery on. The old key then also waits for the rollouts, at most 24h past its overlap. Wants the Role of manifests/restart.",
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
        description="The Secret's name. keywright creates it; one that somebody else made is never touched, unless adopt says so."
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
        description="Take over an existing Secret that carries the annotation keywright.dev/adoptable-by: <ApiKey>. What stands under "
        "the data keys named here is replaced, all else stays, and on deletion only keywright's own goes.",
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
        description="What becomes of the key when the ApiKey is deleted. Revoke: it is revoked and the target cleaned. Retain: both stay; "
        "a key that its target does not hold any more, or whose Secret goes with its namespace, is revoked.",
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
