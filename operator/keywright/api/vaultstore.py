"""The VaultStore and ClusterVaultStore kinds: which Vault, how to log in there, and below which path ApiKeys may write.

The one source of crds/vaultstores.yaml and crds/clustervaultstores.yaml. Delivery into Vault is an adapter's.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from keywright.api.base import (
    ONE_CA_BUNDLE,
    Cel,
    Conditions,
    ConfigMapKeyRef,
    Kind,
    ObjectName,
    SecretKeyRef,
    rules,
    scope_rules,
)
from keywright.api.durations import Interval
from keywright.api.keyissuer import NamespaceSelection
from keywright.api.syntax import Audience, HttpUrl, MountPath, ServerName, StorePrefix, VaultNamespace

__all__ = [
    "CLUSTER_RULES",
    "NAMESPACED_RULES",
    "AppRoleAuth",
    "ClusterVaultStoreSpec",
    "KubernetesAuth",
    "ServiceAccountRef",
    "VaultAuth",
    "VaultStoreSpec",
    "VaultStoreStatus",
]


class ServiceAccountRef(Kind):
    """Whose token logs in: a ServiceAccount of the ApiKey's own namespace."""

    name: ObjectName = Field(default="default", description="The ServiceAccount's name, in the ApiKey's namespace.")
    audiences: Annotated[list[Audience], Field(min_length=1, max_length=8)] = Field(
        default=["vault"],
        description="For whom the token is made out. One that names the apiserver could be used there by whoever sees it.",
    )


class KubernetesAuth(Kind):
    """Log in by Vault's kubernetes method, with a short-lived token of the ApiKey's own namespace."""

    mount: MountPath = Field(default="kubernetes", description="Where the method is mounted.")
    role: Annotated[str, Field(min_length=1, max_length=253)] = Field(description="The role to log in as.")
    service_account_ref: ServiceAccountRef = Field(
        default=ServiceAccountRef(), description="Whose token logs in: a ServiceAccount of the ApiKey's own namespace."
    )


class AppRoleAuth(Kind):
    """Log in by Vault's approle method."""

    mount: MountPath = Field(default="approle", description="Where the method is mounted.")
    role_id: Annotated[str, Field(min_length=1, max_length=4096)] = Field(description="The role's id.")
    secret_id_secret_ref: SecretKeyRef = Field(description="The Secret that holds the secret id.")


class VaultAuth(Kind):
    """How to log in: exactly one of kubernetes, appRole, tokenSecretRef."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "[has(self.kubernetes), has(self.appRole), has(self.tokenSecretRef)].filter(given, given).size() == 1",
                "write exactly one of kubernetes, appRole and tokenSecretRef",
            )
        )
    )

    kubernetes: KubernetesAuth | None = Field(
        default=None,
        description="Log in by the kubernetes method, with a short-lived token of the ApiKey's own namespace.",
    )
    app_role: AppRoleAuth | None = Field(default=None, description="Log in by the approle method.")
    token_secret_ref: SecretKeyRef | None = Field(default=None, description="The Secret that holds a Vault token.")


class VaultStoreSpec(Kind):
    """Which Vault, and how to use it."""

    model_config = ConfigDict(json_schema_extra=rules(ONE_CA_BUNDLE))

    address: HttpUrl = Field(description="Vault's address, such as https://vault:8200.")
    ca_bundle_secret_ref: SecretKeyRef | None = Field(
        default=None, description="PEM certificates to trust besides the system's, from a Secret."
    )
    ca_bundle_config_map_ref: ConfigMapKeyRef | None = Field(
        default=None, description="PEM certificates to trust besides the system's, from a ConfigMap."
    )
    tls_server_name: ServerName | None = Field(
        default=None, description="The name that Vault's certificate must carry. Default: the host of address."
    )
    vault_namespace: VaultNamespace | None = Field(default=None, description="The namespace within Vault Enterprise.")
    mount: MountPath = Field(default="secret", description="Where the KV version 2 engine is mounted.")
    prefix: StorePrefix = Field(
        default="",
        description="What every path begins with, ending with /; {namespace} stands for the ApiKey's namespace. No path can leave it.",
    )
    namespaces: NamespaceSelection | None = Field(
        default=None,
        description="Namespaces that may use a ClusterVaultStore; nobody by default. Refused in a VaultStore.",
    )
    auth: VaultAuth = Field(description="How to log in: exactly one of kubernetes, appRole, tokenSecretRef.")
    keep_versions: bool = Field(
        default=False, description="Do not destroy the versions at a path that held a revoked key."
    )
    check_interval: Interval = Field(default="5m", description="How often paths are looked over for drift.")


class ClusterVaultStoreSpec(VaultStoreSpec):
    """Which Vault, how to use it, and for whom."""

    prefix: Annotated[
        StorePrefix,
        Cel(
            "self.contains('{namespace}')",
            "the prefix of a ClusterVaultStore must contain {namespace}, so that namespaces keep apart: write for example {namespace}/",
        ),
    ] = Field(
        default="{namespace}/",
        description="What every path begins with, ending with /; {namespace}, which must be in it, stands for the ApiKey's namespace. No "
        "path can leave it.",
    )


class VaultStoreStatus(Kind):
    """Whether the store can be used."""

    observed_generation: int | None = Field(default=None, description="The metadata.generation last looked at.")
    conditions: Conditions = Field(default_factory=list, description="Ready: logging in works.")


_REFS: Final = ("caBundleSecretRef", "caBundleConfigMapRef", "auth.appRole.secretIdSecretRef", "auth.tokenSecretRef")

NAMESPACED_RULES: Final = (
    *scope_rules("VaultStore", _REFS, cluster=False),
    ("!has(self.namespaces)", "remove namespaces: a VaultStore serves its own namespace only"),
)
"""What a VaultStore's spec must keep to besides the rules that both kinds share."""

CLUSTER_RULES: Final = scope_rules("ClusterVaultStore", _REFS, cluster=True)
"""What a ClusterVaultStore's spec must keep to besides the rules that both kinds share."""
