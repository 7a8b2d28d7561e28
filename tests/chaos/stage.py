"""A scenario's own world: a namespace, a proxy before the sandbox, operators that come and go, and the questions asked at the end."""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.chaos.failpoints import MET, ORDERS, PLACES
from tests.chaos.nursery import ChaosOperator, Nursery
from tests.chaos.proxy import KEYS, FaultProxy, Loop
from tests.e2e.team import GROUP, Team
from tests.e2e.vault_team import InVault
from tests.running import wait_for
from tests.vaults import vault_of

from keywright.keys import Tag

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.chaos.proxy import Exchange
    from tests.conftest import Plane
    from tests.running import Sandbox
    from tests.sinks import Sink

__all__ = ["Stage", "VaultStage", "World"]

MANAGED = "keywright.dev/managed=true"


@dataclass(frozen=True, slots=True)
class World:
    """What the scenarios of one worker share. `kubeconfig`: what operators log in with; `folder`: for logs."""

    plane: Plane
    sandbox: Sandbox
    nursery: Nursery
    loop: Loop
    kubeconfig: Path
    folder: Path

    @contextmanager
    def stage(self, sink: Sink = "secret", *, with_issuer: bool = True) -> Iterator[Stage]:
        """A fresh one; its operators have ended when this ends, and have said nothing that they must not say."""
        with self.plane.a_namespace() as namespace:
            stage = STAGES[sink](self, namespace)
            try:
                stage.prepare(with_issuer=with_issuer)
                yield stage
            finally:
                stage.close()
            stage.said_nothing_secret()


class Stage(Team):
    """One namespace, which is a cluster of its own to its operators and to the sandbox."""

    def __init__(self, world: World, namespace: str) -> None:
        super().__init__(world.plane, world.sandbox, namespace)
        self.world = world
        self.cluster_id = namespace[-8:]
        self.proxy = FaultProxy(world.loop, world.sandbox.url)
        self.operators: list[ChaosOperator] = []
        self.folder = world.folder / namespace

    # What stands and runs.

    def an_operator(self, *, started: bool = True, **options: Any) -> ChaosOperator:
        """One more operator for this namespace; guards are short, so that what they hold back is seen."""
        operator = ChaosOperator(
            self.world.nursery,
            self.folder / f"operator-{len(self.operators)}",
            **{
                "kubeconfig": str(self.world.kubeconfig),
                "namespaces": [self.namespace],
                "cluster_id": self.cluster_id,
                "min_interval": 1.0,
                "late_window": 3.0,
                "allow_insecure_issuers": True,
            }
            | options,
        )
        self.operators.append(operator)
        if started:
            operator.start()
        return operator

    def create_issuer(self, name: str = "mistral", *, kind: str = "KeyIssuer", **changes: Any) -> None:
        """As a Team does, behind the proxy, with an inventory that does not keep a test waiting.

        The deadline of a request is long: on a busy machine a platform that takes seconds is not silent, and each request that is
        cut off is another attempt, and another key.
        """
        spec = {"inventoryInterval": "2s", "requests": {"perSecond": 1000, "burst": 1000, "timeout": "60s"}}
        super().create_issuer(name, kind=kind, **{"url": self.proxy.url, "spec": spec} | changes)

    def be_impatient(self, seconds: int) -> None:
        """A deadline for requests that is met in the test."""
        self.patch_issuer({"spec": {"requests": {"timeout": f"{seconds}s"}}})

    # What people do at the platform.

    def make_workspace(self, name: str) -> str:
        """A new workspace's uuid."""
        status, made = self.sandbox.call("POST", "/v1/admin/workspaces", {"name": name, "admin_user_id": self._admin()})
        assert status in (200, 201), status
        return made["uuid"]

    def make_key(self, name: str) -> str:
        """A key made by hand; its id."""
        _, found = self.sandbox.call("GET", "/v1/admin/workspaces?search=search-prod")
        body = {"name": name, "workspace_uuid": found["items"][0]["uuid"], "user_id": self._admin()}
        status, made = self.sandbox.call("POST", "/v1/admin/api-keys", body)
        assert status in (200, 201), status
        return made["key_id"]

    def revoke_key(self, key_id: str) -> None:
        """The console's trash icon."""
        status, _ = self.sandbox.call("DELETE", f"/v1/admin/api-keys/{key_id}")
        assert status == 200, status

    def _admin(self) -> str:
        _, users = self.sandbox.call("GET", "/v1/admin/users")
        return next(member["uuid"] for member in users["members"] if member["email"] == "admin@example.com")

    def close(self) -> None:
        """End what runs."""
        for operator in self.operators:
            operator.kill()
        self.proxy.close()

    # What differs.

    def readable(self, name: str) -> int:
        """How many versions of a target can be read."""
        return int(self.target(name) is not None)

    def places(self, *places: str) -> tuple[str, ...]:
        """The boundaries of a key's way, with those that only this sink has."""
        return places

    # Fail points.

    def fail_at(self, operator: ChaosOperator, place: str, act: str = "kill", apikey: str | None = None) -> None:
        """Kill, stop or term the operator at this place, when it comes there the next time, for this ApiKey or for any."""
        (operator.folder / MET).unlink(missing_ok=True)
        asked = operator.folder / "asked"
        asked.write_text(json.dumps({"at": place, "act": act, "apikey": apikey}))
        asked.rename(operator.folder / ORDERS)

    def failed(self, operator: ChaosOperator, act: str = "kill") -> int | None:
        """Wait until it has; returns the exit status, None where it is frozen."""
        asked, place = operator.folder / ORDERS, "its place"
        with suppress(FileNotFoundError):  # it has come there already
            place = asked.read_text()

        def met() -> bool:
            assert operator.process.poll() is None or not asked.exists(), f"it ended before: {operator.said()[-2000:]}"
            return (operator.folder / MET).exists()

        try:
            wait_for(met, f"the operator comes to {place}", pause=0.01)
        except AssertionError:
            asked.unlink(missing_ok=True)
            raise
        if act == "stop":
            wait_for(operator.process.is_stopped, "it is frozen", pause=0.01)
            return None
        return operator.ended()

    @staticmethod
    def effects(operator: ChaosOperator, name: str) -> list[str]:
        """The effects that an operator has had on an ApiKey, in order, by the place behind each; what it only says is left out."""
        lines = (operator.folder / PLACES).read_text().splitlines()
        places = [line.removeprefix(f"{name} ") for line in lines if line.startswith(f"{name} after")]
        return [place for place in places if place != "after patch_status:report"]

    # What is seen.

    def objects(self) -> list[dict[str, Any]]:
        """All ApiKeys."""
        return self.plane.call("GET", f"{GROUP}/namespaces/{self.namespace}/apikeys")["items"]

    def object(self, name: str = "search") -> dict[str, Any]:
        """One ApiKey."""
        return self.plane.call("GET", self._path(name))

    def tagged(self) -> dict[str, str]:
        """Id and name of all live keys with this cluster's tag, however they came about."""
        keys = self.sandbox.live_keys(f"[kw/{self.cluster_id}/")
        return {
            key["key_id"]: key["name"]
            for key in keys
            if (tag := Tag.parse(key["name"])) and tag.cluster == self.cluster_id
        }

    def named(self) -> set[str]:
        """All keys that a status or a delivered record names."""
        found: set[str] = set()
        for obj in self.objects():
            status = obj.get("status") or {}
            found |= {status["keyId"]} if "keyId" in status else set()
            found |= {entry["keyId"] for entry in status.get("previous", ())}
        return found | self.retained()

    def retained(self) -> set[str]:
        """Keys in Secrets of ours that no ApiKey claims."""
        claimed = {obj["spec"]["target"]["secret"]["name"] for obj in self.objects()}
        path = f"/api/v1/namespaces/{self.namespace}/secrets?labelSelector={MANAGED}"
        return {
            key_id
            for secret in self.plane.call("GET", path)["items"]
            if secret["metadata"]["name"] not in claimed
            and (key_id := secret["metadata"]["annotations"].get("keywright.dev/key-id"))
        }

    def alive(self, keys: int) -> None:
        """So many keys live in the end: what has been replaced is revoked a moment later."""
        wait_for(lambda: len(self.tagged()) == keys, f"{keys} keys live; tagged {self.tagged()}")

    def posts(self, name: str = "search") -> int:
        """How many keys were asked for in the name of an ApiKey."""
        return len(self.asked_for(name))

    def asked_for(self, name: str = "search") -> list[Exchange]:
        """The requests for a key in the name of an ApiKey."""
        return self.proxy.asked("POST", KEYS, containing=f'"{self.namespace}/{name} [kw/')

    def looked_again(self) -> None:
        """The inventory has been taken three times."""
        looks = len(self.proxy.asked("GET", KEYS))
        wait_for(lambda: len(self.proxy.asked("GET", KEYS)) >= looks + 3, "it is looked again")

    # The questions at the end.

    def holds(self, *, strays: int = 0, stalled: tuple[str, ...] = ()) -> None:
        """I1, I2 and I4 of the real platform and the real targets, once all has come to rest.

        `strays`: live keys that nobody names and that are only to be reported; `stalled`: ApiKeys that a person must help.
        """

        def at_rest(obj: dict[str, Any]) -> bool:
            status, name = obj.get("status") or {}, obj["metadata"]["name"]
            conditions = {c["type"]: c for c in status.get("conditions", ())}
            wanted = "Stalled" if name in stalled else "Ready"
            seen = conditions.get(wanted, {})
            settled = seen.get("status") == "True" and status["observedGeneration"] == obj["metadata"]["generation"]
            return settled and "attempt" not in status and "Reconciling" not in conditions

        def unsettled() -> list[Any]:
            return [(o["metadata"]["name"], o.get("status")) for o in self.objects() if not at_rest(o)]

        wait_for(lambda: not unsettled() or None, f"all of {self.namespace} is at rest: {unsettled()}", pause=0.2)
        # I1: exactly those live that are named.
        wait_for(
            lambda: len(self.tagged().keys() - self.named()) == strays,
            f"{strays} keys live that nobody names; tagged {self.tagged()}, named {self.named()}",
            pause=0.2,
        )
        for obj in self.objects():
            status, name = obj["status"], obj["metadata"]["name"]
            if name in stalled:
                message = self.condition(name, "Stalled")["message"]
                assert len(message.split()) > 3, "I4: a sentence that says what to change"
            if "keyId" in status and "deletionTimestamp" not in obj["metadata"]:
                self.works(name)
        missing = {obj["status"]["keyId"] for obj in self.objects() if "keyId" in obj["status"]} - self.tagged().keys()
        assert not missing or stalled, f"named and dead: {missing}"

    def works(self, name: str = "search") -> None:
        """I2: what stands in the target is the key that the status names, and the platform accepts it."""
        obj = self.object(name)
        held = self.held(self.home(name, obj["status"]))
        assert held is not None, f"{name} has no key in its target"
        text, key_id = held
        assert key_id == obj["status"]["keyId"], f"{name}: another key stands in the target"
        assert self.sandbox.accepts(text), f"{name}: the key in the target is refused"

    def nothing_left(self, name: str = "search", uid: str | None = None) -> None:
        """After a deletion: no ApiKey, no target, no key."""
        self.gone(name)
        wait_for(lambda: self.target(f"{name}-key") is None, f"the target of {name} is gone")
        if uid is not None:
            search = Tag.search(self.cluster_id, uid)
            wait_for(lambda: not self.sandbox.live_keys(search), f"no key of {name} lives")

    def said_nothing_secret(self) -> None:
        """I3, as far as logs and objects go; no operator met what it had not expected."""
        shown = self.sandbox.shown.copy()  # other scenarios go on reading
        for operator in self.operators:
            said = operator.said()
            assert "Traceback" not in said, said[said.index("Traceback") :][:3000]
            assert self.sandbox.admin_key not in said
            assert operator.gave_away(shown) == set()
        texts = json.dumps([self.objects(), self.plane.call("GET", f"/api/v1/namespaces/{self.namespace}/events")])
        assert not [plaintext for plaintext in shown if plaintext in texts]


class VaultStage(InVault, Stage):
    """A Stage whose target is Vault; `door` is the proxy before it."""

    def __init__(self, world: World, namespace: str) -> None:
        super().__init__(world, namespace)
        self.vault = vault_of(world.plane)
        self.door = FaultProxy(world.loop, self.vault.address)
        self.address = self.door.url

    def places(self, *places: str) -> tuple[str, ...]:
        """A dead key's older versions are destroyed behind its revocation."""
        found: list[str] = []
        for place in places:
            found += (place, "before prune", "after prune") if place == "after revoke" else (place,)
        return tuple(found)

    def readable(self, name: str) -> int:
        """Versions that are not destroyed."""
        metadata = self.vault.metadata(self.path(name)) or {"versions": {}}
        return sum(not version["destroyed"] for version in metadata["versions"].values())

    def close(self) -> None:
        """End what runs."""
        super().close()
        self.door.close()

    def retained(self) -> set[str]:
        """Keys at paths below our prefix that no ApiKey claims."""
        claimed = {obj["spec"]["target"]["vault"]["path"] for obj in self.objects()}
        _, found = self.vault.ask("LIST", f"secret/metadata/{self.namespace}/")
        names = set((found.get("data") or {}).get("keys", ())) - claimed
        targets = [self.target(name) for name in names]
        ids = [target["metadata"]["annotations"].get("keywright.dev/key-id") for target in targets if target]
        return {key_id for key_id in ids if key_id}


STAGES: dict[Sink, type[Stage]] = {"secret": Stage, "vault": VaultStage}
"""By where their keys stand."""
