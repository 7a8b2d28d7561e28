"""The KeyIssuer and ClusterKeyIssuer kinds: where keys are made, with which admin key, and who may have which.

The one source of crds/keyissuers.yaml and crds/clusterkeyissuers.yaml.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from keywright.api.base import (
    ONE_CA_BUNDLE,
    Conditions,
    ConfigMapKeyRef,
    Kind,
    SecretKeyRef,
    rules,
    scope_rules,
)
from keywright.api.durations import Interval, Timeout, Validity
from keywright.api.syntax import (
    AdminPath,
    GrantedNamespace,
    GrantedWorkspace,
    HttpUrl,
    Member,
    SelectorKey,
    SelectorLabels,
    SelectorValue,
)

__all__ = [
    "CLUSTER_RULES",
    "NAMESPACED_RULES",
    "Grant",
    "KeyIssuerSpec",
    "KeyIssuerStatus",
    "LabelSelector",
    "MistralIssuer",
    "NamespaceSelection",
    "RequestBudget",
    "SelectorTerm",
]


class MistralIssuer(Kind):
    """Mistral's Admin API."""

    model_config = ConfigDict(json_schema_extra=rules(ONE_CA_BUNDLE))

    url: HttpUrl = Field(default="https://api.mistral.ai", description="The platform's address.")
    admin_path: AdminPath = Field(
        default="/v1/admin",
        description="The Admin API's path. Older organizations: url https://console.mistral.ai with adminPath /api/admin.",
    )
    check_url: HttpUrl | None = Field(
        default=None, description="Where /v1/models answers to ordinary keys. Default: url."
    )
    auth_header: Literal["Authorization", "x-api-key"] = Field(
        default="Authorization",
        description="How the admin key is sent: as a Bearer token (Authorization) or as x-api-key.",
    )
    user: Member = Field(
        description="The member of the organization that keys are created for: a uuid or an e-mail address."
    )
    admin_key_secret_ref: SecretKeyRef = Field(description="The Secret that holds the Admin API key.")
    ca_bundle_secret_ref: SecretKeyRef | None = Field(
        default=None, description="PEM certificates to trust besides the system's, from a Secret."
    )
    ca_bundle_config_map_ref: ConfigMapKeyRef | None = Field(
        default=None, description="PEM certificates to trust besides the system's, from a ConfigMap."
    )


class SelectorTerm(Kind):
    """One requirement on a label."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                "write values with In and NotIn, and none with Exists and DoesNotExist",
            )
        )
    )

    key: SelectorKey = Field(description="The label's key.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = Field(description="How the values are compared.")
    values: Annotated[list[SelectorValue], Field(max_length=64)] | None = Field(
        default=None, description="The values, for In and NotIn."
    )


class LabelSelector(Kind):
    """A selector of namespaces by their labels; an empty one means all."""

    match_labels: SelectorLabels | None = Field(
        default=None, description="Labels that must be there with these values."
    )
    match_expressions: Annotated[list[SelectorTerm], Field(max_length=16)] | None = Field(
        default=None, description="Requirements that must all hold."
    )


class NamespaceSelection(Kind):
    """Which namespaces: by name or by label."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "has(self.names) || has(self.selector)",
                "name the namespaces: write names, such as [search], or selector; selector: {} means all",
            )
        )
    )

    names: Annotated[list[GrantedNamespace], Field(max_length=256)] | None = Field(
        default=None, description="Namespaces by name."
    )
    selector: LabelSelector | None = Field(
        default=None, description="Namespaces by their labels; an empty selector means all."
    )


class Grant(Kind):
    """Who may have keys for which workspaces. One grant alone must allow the whole request."""

    namespaces: NamespaceSelection | None = Field(
        default=None,
        description="Namespaces that may use this grant. Required in a ClusterKeyIssuer, refused in a KeyIssuer.",
    )
    workspaces: Annotated[list[GrantedWorkspace], Field(min_length=1, max_length=256)] = Field(
        description="Workspaces by name (case-sensitive, * stands for any run of characters) or by uuid (then a rename does not matter)."
    )
    max_validity: Validity | None = Field(
        default=None, description="The longest validity allowed, such as 90d. Implies requireExpiry."
    )
    require_expiry: bool = Field(default=False, description="Refuse keys that never expire.")
    max_keys: Annotated[int, Field(ge=1, le=100000)] | None = Field(
        default=None, description="How many ApiKeys a namespace may have under this grant."
    )


class RequestBudget(Kind):
    """How hard the issuer may be used."""

    per_second: Annotated[int, Field(ge=1, le=100000)] = Field(
        default=10, description="Requests per second, over time."
    )
    burst: Annotated[int, Field(ge=1, le=100000)] = Field(default=20, description="Requests at once.")
    timeout: Timeout = Field(default="10s", description="The deadline of one request.")


class KeyIssuerSpec(Kind):
    """Where keys are made."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.mistral)", "write mistral, the one kind of issuer there is, with user and adminKeySecretRef")
        )
    )

    mistral: MistralIssuer | None = Field(default=None, description="Mistral's Admin API.")
    grants: Annotated[list[Grant], Field(max_length=128)] | None = Field(
        default=None,
        description="Who may have keys for which workspaces. A ClusterKeyIssuer grants nothing without them; a KeyIssuer serves its own "
        "namespace, everything, unless grants are given.",
    )
    on_grant_lost: Literal["Keep", "Revoke"] = Field(
        default="Keep",
        description="When no grant names a namespace and workspace any more: stop renewing and repairing (Keep), or end the key 10 "
        "minutes after an event said so, and remove it from its target (Revoke). Limits that are tightened only stop renewals.",
    )
    check_new_keys: bool = Field(default=True, description="A new key must work at the issuer before it is delivered.")
    requests: RequestBudget = Field(default=RequestBudget(), description="How hard the issuer may be used.")
    inventory_interval: Interval = Field(default="5m", description="How often all keys at the issuer are listed.")


class KeyIssuerStatus(Kind):
    """Whether the issuer can be used."""

    observed_generation: int | None = Field(default=None, description="The metadata.generation last looked at.")
    keys: int | None = Field(default=None, description="Live keys at the issuer made by this installation.")
    strays: int | None = Field(default=None, description="Of these, keys that no ApiKey names.")
    conditions: Conditions = Field(default_factory=list, description="Ready: the admin key works.")


_REFS: Final = ("mistral.adminKeySecretRef", "mistral.caBundleSecretRef", "mistral.caBundleConfigMapRef")

NAMESPACED_RULES: Final = (
    *scope_rules("KeyIssuer", _REFS, cluster=False),
    (
        "!has(self.grants) || self.grants.all(g, !has(g.namespaces))",
        "remove namespaces from grants: a KeyIssuer serves its own namespace only",
    ),
)
"""What a KeyIssuer's spec must keep to besides the rules that both kinds share."""

CLUSTER_RULES: Final = (
    *scope_rules("ClusterKeyIssuer", _REFS, cluster=True),
    (
        "!has(self.grants) || self.grants.all(g, has(g.namespaces))",
        "write namespaces in each grant of a ClusterKeyIssuer: names, or a selector; selector: {} means all",
    ),
)
"""What a ClusterKeyIssuer's spec must keep to besides the rules that both kinds share."""
