"""What the demo writes into its control plane: kinds, rights, examples, and what kubectl would do.

Everything is server-side apply, as in `kubectl apply --server-side`. Neighbours: keywright.adapters.kube sends;
`story.py` says what and when.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import yaml

from keywright.adapters.kube import MERGE_PATCH, KubeApi, path_of
from keywright.adapters.kube_errors import NotFound
from keywright.demo.shipped import shipped
from keywright.errors import Terminal, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from keywright.keys import ResourceKey, SecretValue

__all__ = ["SERVICE_ACCOUNT", "annotate", "apply", "delete", "documents", "examples", "install", "issuer_for", "token"]

APPLY: Final = "application/apply-patch+yaml"
"""JSON is YAML, too."""

SERVICE_ACCOUNT: Final = ("keywright-system", "keywright")
"""Of manifests/: whose rights the operator has."""

API_KEYS: Final = "/apis/keywright.dev/v1alpha1"

_PLURALS: Final = {
    "Namespace": "namespaces",
    "CustomResourceDefinition": "customresourcedefinitions",
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "ServiceAccount": "serviceaccounts",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Secret": "secrets",
    "KeyIssuer": "keyissuers",
    "VaultStore": "vaultstores",
    "ApiKey": "apikeys",
}
"""What is applied. Of manifests/ the rest is left out: without a kubelet nothing would run."""

_OF_NO_NAMESPACE: Final = frozenset({"Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"})

_TOKEN_SECONDS: Final = 30 * 24 * 3600
"""A demo that stays up over a holiday still works."""

_SERVED: Final = 30.0
"""Seconds until a kind just defined is served; usually one."""

Document = dict[str, Any]


def documents(folder: Path) -> list[tuple[Path, Document]]:
    """What stands in a folder of YAML, with its file, in the order in which kubectl takes it."""
    return [
        (file, document)
        for file in sorted(folder.glob("*.yaml"))
        for document in yaml.safe_load_all(file.read_text("utf-8"))
        if document
    ]


def examples(*, vault: bool = False) -> list[tuple[Path, Document]]:
    """Of examples/; `vault`: with those of examples/vault/ behind them."""
    folder = shipped("examples")
    return documents(folder) + (documents(folder / "vault") if vault else [])


async def install(api: KubeApi) -> None:
    """Kinds, and the operator's account and rights; returns when the kinds are served."""
    kinds = [document for _, document in documents(shipped("crds"))]
    manifests = [document for _, document in documents(shipped("manifests"))]
    for document in (*kinds, *(document for document in manifests if document["kind"] in _PLURALS)):
        await apply(api, document)
    for kind in kinds:
        await _established(api, kind)


async def apply(api: KubeApi, document: Document) -> None:
    """As `kubectl apply --server-side`; a kind just defined may need a moment."""
    parameters = {"fieldManager": "keywright-demo", "force": "true"}
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _SERVED
    while True:
        try:
            await api.request("PATCH", _path(document), body=document, params=parameters, content_type=APPLY)
        except NotFound as error:
            if error.named or loop.time() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            return


async def token(api: KubeApi) -> str:
    """A token of the operator's ServiceAccount, as the kubelet would give its pod."""
    namespace, name = SERVICE_ACCOUNT
    answer = await api.request(
        "POST",
        path_of("/api/v1", "serviceaccounts", namespace, name, "token"),
        body={
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": _TOKEN_SECONDS},
        },
        confidential=True,
    )
    return str(answer["status"]["token"])


def issuer_for(example: Document, url: str, admin_key: SecretValue) -> tuple[Document, Document]:
    """The example's KeyIssuer pointed at the sandbox, and the Secret with the admin key that it asks for."""
    mistral = {**example["spec"]["mistral"], "url": url, "checkUrl": url}
    reference = mistral["adminKeySecretRef"]
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": reference["name"], "namespace": example["metadata"]["namespace"]},
        "stringData": {reference["key"]: admin_key.reveal()},
    }
    return {**example, "spec": {**example["spec"], "mistral": mistral}}, secret


async def issuer_ready(api: KubeApi, issuer: Document) -> tuple[bool, str]:
    """Whether the operator says that the issuer works, and what it says."""
    seen = await api.request("GET", _path(issuer))
    conditions = (seen.get("status") or {}).get("conditions") or ()
    ready = next((condition for condition in conditions if condition["type"] == "Ready"), None)
    if ready is None:
        return False, "it has no Ready condition yet"
    return ready["status"] == "True", f"{ready['reason']}: {ready['message']}"


async def annotate(api: KubeApi, key: ResourceKey, annotation: str, value: str) -> None:
    """As `kubectl annotate`."""
    body = {"metadata": {"annotations": {annotation: value}}}
    await api.request("PATCH", _api_key(key), body=body, content_type=MERGE_PATCH)


async def delete(api: KubeApi, key: ResourceKey) -> None:
    """As `kubectl delete --wait=false`."""
    await api.request("DELETE", _api_key(key))


async def _established(api: KubeApi, kind: Document) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _SERVED
    while loop.time() < deadline:
        seen = await api.request("GET", _path(kind))
        conditions = (seen.get("status") or {}).get("conditions") or ()
        if any(condition["type"] == "Established" and condition["status"] == "True" for condition in conditions):
            return
        await asyncio.sleep(0.05)
    raise Unavailable(f"the kind {kind['metadata']['name']} is not served {_SERVED:.0f} s after it was defined")


def _api_key(key: ResourceKey) -> str:
    return path_of(API_KEYS, "apikeys", key.namespace, key.name)


def _path(document: Document) -> str:
    kind, version, metadata = document["kind"], document["apiVersion"], document["metadata"]
    if kind not in _PLURALS:
        raise Terminal(f"The demo does not know how to apply a {kind}.", reason="NotShipped")
    prefix = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = None if kind in _OF_NO_NAMESPACE else metadata["namespace"]
    return path_of(prefix, _PLURALS[kind], namespace, metadata["name"])
