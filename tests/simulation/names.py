"""What the objects of every history are called."""

from __future__ import annotations

from typing import Final

from keywright.api.apikey import RestartRef
from keywright.keys import ResourceKey

__all__ = [
    "INTERVAL",
    "ISSUERS",
    "KEY",
    "NOTHING",
    "PATHS",
    "RIVAL",
    "SECRETS",
    "STORE",
    "WEB",
    "issuer_key",
]

KEY: Final = ResourceKey("search", "pipeline")
RIVAL: Final = ResourceKey("search", "rival")
SECRETS: Final = (ResourceKey("search", "mistral-key"), ResourceKey("search", "other-key"))
STORE: Final = ResourceKey("search", "vault")
PATHS: Final = tuple(ResourceKey(key.namespace, f"VaultStore/{STORE.name}/{key.name}") for key in SECRETS)
"""The same in Vault."""
ISSUERS: Final = {"main": "https://one.example", "spare": "https://two.example"}
WEB: Final = RestartRef(kind="Deployment", name="web")
NOTHING: Final = RestartRef(kind="StatefulSet", name="nothing")
INTERVAL: Final = "12m"
"""Between two looks at all keys: seldom, so that histories are quick."""


def issuer_key(name: str) -> ResourceKey:
    """Beside the ApiKeys."""
    return ResourceKey("search", name)
