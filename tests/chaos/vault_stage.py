"""The same stage with its keys in Vault, behind a proxy of its own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.chaos.proxy import FaultProxy
from tests.chaos.stage import Consumer, Stage
from tests.e2e.vault_team import InVault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.stage import World
    from tests.vaults import Vault

__all__ = ["VaultConsumer", "VaultStage", "a_vault_stage"]

PLACE = "VaultStore/vault/"


class VaultStage(InVault, Stage):
    """A Stage whose target is Vault; `door` is the proxy before it."""

    def __init__(self, world: World, namespace: str, vault: Vault) -> None:
        """`vault`: beside the world's plane."""
        super().__init__(world, namespace)
        self.vault = vault
        self.door = FaultProxy(world.loop, vault.address)
        self.address = self.door.url

    def close(self) -> None:
        """End what runs."""
        super().close()
        self.door.close()

    def secret(self, name: str = "search-key") -> dict[str, Any] | None:
        """By path, or by place as a status says it."""
        return super().secret(name.removeprefix(PLACE))

    def retained(self) -> set[str]:
        """Keys at paths below our prefix that no ApiKey claims."""
        claimed = {obj["spec"]["target"]["vault"]["path"] for obj in self.objects()}
        _, found = self.vault.ask("LIST", f"secret/metadata/{self.namespace}/")
        names = set((found.get("data") or {}).get("keys", ())) - claimed
        secrets = [self.secret(name) for name in names]
        ids = [secret["metadata"]["annotations"].get("keywright.dev/key-id") for secret in secrets if secret]
        return {key_id for key_id in ids if key_id}


class VaultConsumer(Consumer):
    """Reads the path all the time."""

    def __init__(self, stage: VaultStage, name: str = "search") -> None:
        """`name`: of the ApiKey."""
        super().__init__(stage, name)
        self._vault_stage = stage
        self._name = f"{name}-key"

    def _read(self) -> tuple[str, str] | None:
        secret = self._vault_stage.secret(self._name)
        if secret is None or "api-key" not in secret["data"]:
            return None
        return self._vault_stage.text(self._name), secret["metadata"]["annotations"].get("keywright.dev/key-id", "")


@contextmanager
def a_vault_stage(world: World, vault: Vault, *, with_issuer: bool = True) -> Iterator[VaultStage]:
    """As World.stage."""
    with world.plane.a_namespace() as namespace:
        stage = VaultStage(world, namespace, vault)
        try:
            stage.create_store()
            if with_issuer:
                stage.create_admin_secret()
                stage.create_issuer()
            yield stage
        finally:
            stage.close()
        stage.said_nothing_secret()
