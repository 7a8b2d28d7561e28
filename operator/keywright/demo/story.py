"""What happens in the demo, and when. Each step is something that a user could do with kubectl.

Three keys show the three ways in which an old key ends: its overlap runs out, it is declared compromised, its ApiKey is
deleted. Neighbours: `cluster.py` does, `follower.py` sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from keywright.demo import cluster
from keywright.demo.life import Saying, Stage
from keywright.demo.shipped import shipped
from keywright.errors import Terminal
from keywright.keys import ResourceKey

if TYPE_CHECKING:
    from pathlib import Path

    from keywright.adapters.kube import KubeApi
    from keywright.demo.board import Board
    from keywright.demo.follower import Follower
    from keywright.demo.life import Life
    from keywright.demo.vault import DemoVault
    from keywright.keys import SecretValue

__all__ = ["NAMESPACE", "Story"]

NAMESPACE: Final = "shop"
"""Of examples/."""

_OVERLAPPING: Final = ResourceKey(NAMESPACE, "search")
_LEAKED: Final = ResourceKey(NAMESPACE, "minimal")
_BUSY: Final = ResourceKey(NAMESPACE, "billing")
_VAULTED: Final = ResourceKey(NAMESPACE, "vaulted")

_PATIENCE: Final = 90.0
"""Seconds for a stage that takes one: a busy machine is no failure."""


@dataclass(frozen=True, slots=True)
class Story:
    """One performance. `beat`: seconds between two acts, for people to read."""

    api: KubeApi
    board: Board
    follower: Follower
    beat: float
    vault: DemoVault | None = None

    async def set_up_issuer(self, url: str, admin_key: SecretValue) -> str:
        """Apply examples/ but for the keys; returns what the operator says of the issuer once that works."""
        said = "nothing yet"
        issuer: cluster.Document = {}
        if self.vault is not None:
            await self.vault.set_up()
        for _, document in self._examples():
            if document["kind"] == "KeyIssuer":
                issuer, secret = cluster.issuer_for(document, url, admin_key)
                await cluster.apply(self.api, secret)
                await cluster.apply(self.api, issuer)
            elif document["kind"] == "VaultStore" and self.vault is not None:
                await cluster.apply(self.api, self.vault.store_for(document))
            elif document["kind"] != "ApiKey":
                await cluster.apply(self.api, document)

        ready = False
        clock, began = self.board.clock, self.board.clock()
        while not ready:
            ready, said = await cluster.issuer_ready(self.api, issuer)
            if not ready and clock() - began > _PATIENCE:
                raise Terminal(
                    f"keyissuer/{issuer['metadata']['name']} is not Ready after {_PATIENCE:.0f} s; last seen: {said}",
                    reason="NotSeen",
                )
            await self.follower.pause(0.1)
        return f"keyissuer/{issuer['metadata']['name']}: {said.partition(': ')[2]}"

    async def tell(self, *, whole: bool) -> None:
        """One key's life to its end and most of the others'; `whole`: all to the end."""
        await self._request()
        await self._rotate_with_overlap(_OVERLAPPING)
        await self._replace_compromised(_LEAKED)
        await self._rotate_with_overlap(_BUSY)
        vaulted = (_VAULTED,) if self.vault is not None else ()
        for key in vaulted:
            await self._rotate_with_overlap(key)
        for key in (_OVERLAPPING, *vaulted):
            await self._until(key, Stage.REFUSED)
        await self._beat()
        for key in (_LEAKED, _OVERLAPPING, _BUSY, *vaulted) if whole else (_LEAKED,):
            await self._delete(key)

    def _examples(self) -> list[tuple[Path, cluster.Document]]:
        return cluster.examples(vault=self.vault is not None)

    async def _request(self) -> None:
        wanted = [
            (ResourceKey(document["metadata"]["namespace"], document["metadata"]["name"]), file, document)
            for file, document in self._examples()
            if document["kind"] == "ApiKey"
        ]
        for key, _, _ in wanted:
            self.board.life(key)
        for key, file, document in wanted:
            self._wants(key, Stage.PROVED, f"kubectl apply -f {_short(file)}")
            await cluster.apply(self.api, document)
            await self._until(key, Stage.PROVED)
            await self._beat()

    async def _rotate_with_overlap(self, key: ResourceKey) -> None:
        """Both keys work until the overlap is over."""
        life = self._life(key)
        await self._trigger(key, "rotate", goal=Stage.ROTATED if key == _BUSY else Stage.REFUSED)
        await self._until(key, Stage.ROTATED)
        await self.follower.until(
            lambda: life.older[-1].works is not None,
            f"{key}: a call with the old key",
            within=_PATIENCE,
            why=lambda: _last_seen(life),
        )
        await self._beat()

    async def _replace_compromised(self, key: ResourceKey) -> None:
        """The old key dies at once."""
        await self._trigger(key, "compromised", goal=Stage.REFUSED)
        await self._until(key, Stage.REFUSED)
        await self._beat()

    async def _delete(self, key: ResourceKey) -> None:
        self._wants(key, Stage.DELETED, f"kubectl delete ak {key.name}")
        await cluster.delete(self.api, key)
        await self._until(key, Stage.DELETED)
        await self._beat()

    async def _trigger(self, key: ResourceKey, annotation: str, *, goal: Stage) -> None:
        life = self._life(key)
        # The key works a moment before the ApiKey names it; what is asked until then, the first key answers.
        await self.follower.until(
            lambda: life.settled, f"{key}: the key in its status", within=_PATIENCE, why=lambda: _last_seen(life)
        )
        self._wants(key, goal, f"kubectl annotate ak {key.name} keywright.dev/{annotation}=1")
        await cluster.annotate(self.api, key, f"keywright.dev/{annotation}", "1")

    def _wants(self, key: ResourceKey, goal: Stage, command: str) -> None:
        self._life(key).goal = goal
        self._life(key).asked(self.board.clock())
        self.board.say(key, [Saying("$", command)])

    def _life(self, key: ResourceKey) -> Life:
        return self.board.lives.get(key) or self.board.life(key)

    async def _until(self, key: ResourceKey, stage: Stage) -> None:
        life = self._life(key)
        await self.follower.until(
            lambda: stage in life.reached, f"{key}: {stage.value}", within=_PATIENCE, why=lambda: _last_seen(life)
        )

    async def _beat(self) -> None:
        await self.follower.pause(self.beat)


def _short(file: Path) -> str:
    return str(file.relative_to(shipped("examples").parent))


def _last_seen(life: Life) -> str:
    standing = life.standing
    if standing is None:
        return "there is no ApiKey" if life.delivered is None else f"the ApiKey is gone, {life.delivered.place} is not"
    condition = (
        f"{standing.reason}: {standing.message}" if standing.reason else "no condition: is the operator at work?"
    )
    working = "" if life.current is None or life.current.works is not False else "; the issuer refuses its key"
    return f"last seen: Ready is {standing.ready}, {condition}{working}"
