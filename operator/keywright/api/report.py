"""What `keywright status` answers a program: the shape of its JSON and YAML, and the source of docs/status.schema.json.

Stable: fields are added, never renamed or given another meaning; another `schema` would say so. Times are RFC 3339 in UTC, what is
not known is left out. Computed by planning/fleet.py. Never the plaintext.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final, Literal

from pydantic import Field

from keywright.api.apikey import RestartRef
from keywright.api.apikey_status import Attempt, NextStep, PreviousKey, RolloutStatus, TargetStatus, WorkspaceStatus
from keywright.api.base import Condition, Kind, Timestamp

__all__ = [
    "SCHEMA",
    "EventReport",
    "FleetReport",
    "IssuerName",
    "KeyDetail",
    "KeyReport",
    "KeyState",
    "ObjectName",
    "OperatorReport",
    "Problem",
    "Severity",
    "Summary",
    "UsedReport",
    "report_schema",
]

SCHEMA: Final = "keywright.dev/status/v1"

KeyState = Literal["Ready", "Issuing", "Retrying", "Stalled", "Suspended", "Deleting", "Unobserved"]
Severity = Literal["NeedsPerson", "Retrying", "Notice"]


class ObjectName(Kind):
    """One object."""

    kind: str = Field(description="ApiKey, KeyIssuer, ClusterKeyIssuer, VaultStore or ClusterVaultStore.")
    namespace: str | None = Field(default=None, description="Its namespace; absent for cluster kinds.")
    name: str = Field(description="Its name.")


class Problem(Kind):
    """One thing that is wrong, however many ApiKeys it holds up."""

    severity: Severity = Field(
        description="NeedsPerson: nothing changes until somebody acts. Retrying: keywright tries again by itself. Notice: worth knowing."
    )
    reason: str = Field(description="The CamelCase word that docs/reasons.md explains.")
    message: str = Field(description="What is wrong, in a sentence.")
    remedy: str = Field(description="What to do.")
    since: Timestamp | None = Field(default=None, description="Since when.")
    source: ObjectName | None = Field(
        default=None, description="The issuer or store that has it; absent where ApiKeys do."
    )
    api_keys: list[ObjectName] = Field(description="The ApiKeys that it holds up, those that end first before others.")
    not_ready: int = Field(description="How many of them have no key that works.")
    first_expiry: Timestamp | None = Field(default=None, description="When the first of their keys ends.")


class IssuerName(Kind):
    """The issuer that an ApiKey names."""

    kind: Literal["KeyIssuer", "ClusterKeyIssuer"] = Field(description="KeyIssuer or ClusterKeyIssuer.")
    name: str = Field(description="Its name.")


class EventReport(Kind):
    """An event about the ApiKey."""

    at: Timestamp = Field(description="When it was written.")
    type: str = Field(description="Normal or Warning.")
    reason: str = Field(description="The CamelCase word.")
    message: str = Field(description="The sentence.")


class KeyDetail(Kind):
    """What is told of an ApiKey that was asked for by name."""

    key_id: str | None = Field(default=None, description="The current key's id at the issuer.")
    revision: int = Field(description="How many keys have been delivered.")
    issued_at: Timestamp | None = Field(default=None, description="When the current key was issued.")
    last_used: date | None = Field(default=None, description="The day the issuer last saw the key used.")
    target: TargetStatus | None = Field(default=None, description="Where the key is now.")
    restart: list[RestartRef] = Field(description="Workloads that are restarted for each new key.")
    previous: list[PreviousKey] = Field(description="Older keys that still live, and until when.")
    attempt: Attempt | None = Field(default=None, description="The try under way.")
    rollout: RolloutStatus | None = Field(default=None, description="The restart under way.")
    conditions: list[Condition] = Field(description="As they stand in the status.")
    why: list[str] = Field(description="What it is doing or waiting for, in sentences, as keywright why says it.")
    events: list[EventReport] | None = Field(
        default=None, description="The last ones, newest last; absent where they may not be read."
    )


class KeyReport(Kind):
    """One ApiKey."""

    namespace: str = Field(description="Its namespace.")
    name: str = Field(description="Its name.")
    state: KeyState = Field(
        description="Ready: nothing to do. Issuing: a key is being made or replaced. Retrying: something failed and is tried again. "
        "Stalled: a person must act. Suspended, Deleting: as asked. Unobserved: no operator seems to work on it."
    )
    ready: bool = Field(description="Whether a key that works stands in its target, as the Ready condition says.")
    reason: str | None = Field(default=None, description="The Ready condition's reason.")
    message: str | None = Field(default=None, description="The Ready condition's message.")
    masked_key: str | None = Field(default=None, description="The current key as the platform shows it.")
    workspace: WorkspaceStatus | None = Field(default=None, description="The workspace the key belongs to.")
    wanted_workspace: str | None = Field(default=None, description="spec.workspace.")
    issuer: IssuerName | None = Field(default=None, description="The issuer that the spec names.")
    place: str | None = Field(
        default=None, description="The place the key is, or is to be: Secret NAME, or Vault path PATH (store)."
    )
    expires_at: Timestamp | None = Field(default=None, description="The end of the key's last day; absent: never.")
    renewal_time: Timestamp | None = Field(default=None, description="When time replaces the key next.")
    next: NextStep | None = Field(default=None, description="What happens next, when, and what holds it.")
    older_keys: int = Field(description="Older keys that still live.")
    detail: KeyDetail | None = Field(default=None, description="Only for an ApiKey asked for by name.")


class UsedReport(Kind):
    """An issuer or a store that these ApiKeys use."""

    kind: str = Field(description="KeyIssuer, ClusterKeyIssuer, VaultStore or ClusterVaultStore.")
    namespace: str | None = Field(default=None, description="Its namespace; absent for cluster kinds.")
    name: str = Field(description="Its name.")
    ready: bool | None = Field(
        default=None, description="Its Ready condition; absent: not said yet, or not to be read."
    )
    reason: str | None = Field(default=None, description="The condition's reason.")
    message: str | None = Field(default=None, description="The condition's message.")
    api_keys: int = Field(description="How many of the ApiKeys in this report name it.")
    keys: int | None = Field(default=None, description="Of an issuer: live keys made by this installation.")
    strays: int | None = Field(default=None, description="Of an issuer: keys that no ApiKey names.")


class OperatorReport(Kind):
    """Whether anything seems to be at work."""

    state: Literal["Working", "Silent", "Unknown"] = Field(
        description="Working: its Lease is fresh. Silent: the Lease ran out, or nobody answers ApiKeys. Unknown: no Lease may be read."
    )
    holder: str | None = Field(default=None, description="Who holds the Lease.")
    lease: str | None = Field(default=None, description="The Lease, as namespace/name.")
    renewed_at: Timestamp | None = Field(default=None, description="When the Lease was renewed last.")


class Summary(Kind):
    """The fleet in numbers."""

    total: int = Field(description="ApiKeys.")
    ready: int = Field(description="Of these, with a key that works.")
    renew_within_week: int = Field(description="Of these, replaced by time within seven days.")
    need_person: int = Field(description="Of these, waiting for somebody to act.")


class FleetReport(Kind):
    """What `keywright status -o json` prints."""

    schema_: Literal["keywright.dev/status/v1"] = Field(
        default=SCHEMA, alias="schema", description="What this document is."
    )
    at: Timestamp = Field(description="When it was read.")
    namespace: str | None = Field(default=None, description="The namespace; absent: all.")
    summary: Summary = Field(description="The fleet in numbers.")
    operator: OperatorReport = Field(description="Whether anything seems to be at work.")
    problems: list[Problem] = Field(description="What is wrong; what needs a person comes first.")
    api_keys: list[KeyReport] = Field(description="What is due next comes first.")
    issuers: list[UsedReport] = Field(description="The issuers that they name.")
    stores: list[UsedReport] = Field(description="The stores that they name.")
    unread: list[str] = Field(description="What could not be read, and the right that is missing, in sentences.")


def report_schema() -> dict[str, Any]:
    """The JSON Schema of the document (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "Generated from operator/keywright/api/report.py by make generate; edit there.",
        **_untitled(FleetReport.model_json_schema()),
    }


def _untitled(node: Any) -> Any:
    """Less the titles that pydantic makes of field names; a field that is called title would be a mapping."""
    if isinstance(node, dict):
        return {k: _untitled(v) for k, v in node.items() if not (k == "title" and isinstance(v, str))}
    return [_untitled(one) for one in node] if isinstance(node, list) else node
