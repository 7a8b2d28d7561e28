"""What people and the world outside do: each act of a history by its name."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.simulation.acts import Acts
from tests.simulation.names import INTERVAL, ISSUERS, KEY, STORE, WEB, issuer_key

from keywright.api.apikey_status import ApiKeyStatus
from keywright.keys import ResourceKey
from keywright.planning.places import in_vault

if TYPE_CHECKING:
    from tests.ports.fake_sink import Stored
    from tests.simulation.history import Act
    from tests.simulation.world import Site, World

    from keywright.ports.cluster import Object

__all__ = ["People"]


class People(Acts):
    """Everybody but keywright: the stage, and what becomes of an act's name; acts.py knows what each does."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._copies: list[Object] = []
        """ApiKeys as they were, for who restores them."""
        self._secrets: list[tuple[ResourceKey, Stored]] = []
        self._count = 0
        self._for_good: set[str] = set()
        """Issuers whose grants nobody gives back in the end."""

    @property
    def _site(self) -> Site:
        return self._world.sites[0]

    def set_the_stage(self) -> None:
        """Two issuers, an admin key, one ApiKey, and things of others that nobody may touch."""
        for name in ISSUERS:
            self._create_issuer(name)
        self._site.server.values["Secret", "search", "admin"] = {"key": "admin"}
        store = {"address": "https://vault.example", "auth": {"kubernetes": {"role": "keywright"}}}
        if self._world.history.vault:
            self._site.server.create("VaultStore", STORE, store)
        self._site.workloads.create(KEY.namespace, WEB)
        self._create(KEY)
        self._site.server.watchers.append(self._remember)
        self._site.secrets.watchers.append(self._remember_secret)
        self._world.invariants.watch(self._site)
        for platform in self._world.platforms.values():
            self._world.invariants.keep_off(platform)

    def do(self, act: Act) -> None:
        """By its name; one that makes no sense now does nothing."""
        name = re.sub(r"[ -]", "_", act.what).lower()
        getattr(self, f"_{name}")(act.arg)

    def mend(self) -> None:
        """Everything works again, as far as a person can make it so."""
        world = self._world
        world.commit_late()
        world.platform_away_until = 0.0
        for platform in world.platforms.values():
            platform.admin_key = "admin"
            platform.lag = timedelta(0)
            platform.latest = None
            platform.workspaces[:] = [replace(w, name=w.name.removeprefix("old ")) for w in platform.workspaces]
        for site in world.sites:
            site.away_until = site.vault_away_until = 0.0
            site.server.values["Secret", "search", "admin"] = {"key": "admin"}
            site.secrets.refusal = None
            site.workloads.mend()
            for name in ISSUERS:
                if ("KeyIssuer", issuer_key(name)) not in site.server.stored:
                    self._create_issuer(name, site)
            for process in site.processes.values():
                if process.deaf_until > world.time():
                    process.deaf_until = 0.0
                    process.relist()
            for (kind, key), obj in list(site.server.stored.items()):
                if kind == "KeyIssuer" and "grants" in obj["spec"] and key.name not in self._for_good:
                    site.server.edit(kind, key, lambda obj: obj["spec"].pop("grants"))
                if kind == "ApiKey" and obj["spec"].get("suspend"):
                    site.server.edit(kind, key, lambda obj: obj["spec"].update(suspend=False))

    # Below.

    def _create(self, key: ResourceKey, **spec: Any) -> None:
        fields = {
            "issuerRef": {"name": "main"},
            "workspace": "search-prod",
            "expiry": {"validity": "90d"},
            "rotation": {"overlap": "10m", "restart": [WEB.to_dict()]},
            "target": self._target(0),
            **spec,
        }
        self._site.server.create("ApiKey", key, fields, annotations={})

    def _create_issuer(self, name: str, site: Site | None = None) -> None:
        mistral = {
            "url": ISSUERS[name],
            "user": "dev@example.com",
            "adminKeySecretRef": {"name": "admin", "key": "key"},
        }
        spec = {"mistral": mistral, "inventoryInterval": INTERVAL, "onGrantLost": self._world.history.on_grant_lost}
        (site or self._site).server.create("KeyIssuer", issuer_key(name), spec)

    def _annotate(self, name: str) -> None:
        if self._api_key() is not None:
            self._count += 1
            value = {f"keywright.dev/{name}": str(self._count)}
            self._world.invariants.triggered_at = self._world.time()
            self._site.server.edit("ApiKey", KEY, lambda obj: obj["metadata"]["annotations"].update(value))

    def _api_key(self) -> Object | None:
        """It, unless it is being deleted."""
        obj = self._site.server.stored.get(("ApiKey", KEY))
        return None if obj is None or "deletionTimestamp" in obj["metadata"] else obj

    def _status(self) -> ApiKeyStatus | None:
        obj = self._site.server.stored.get(("ApiKey", KEY))
        return ApiKeyStatus.model_validate(obj.get("status") or {}) if obj else None

    def _secret(self, arg: int) -> ResourceKey:
        """Where the key is, most of the time."""
        status = self._status()
        if arg < 6 and status and status.target:
            return ResourceKey(KEY.namespace, status.target.name)
        return self._world.history.places[arg % 2]

    def _target(self, arg: int, looks: dict[str, Any] | None = None) -> dict[str, Any]:
        """One of the places, as a spec says it; `looks` as the spec has them."""
        place = self._world.history.places[arg % 2].name
        there = in_vault(place)
        if there is None:
            return {"secret": {**(looks or {}), "name": place}}
        return {"vault": {**(looks or {}), "storeRef": {"name": there.store}, "path": there.path}}

    def _change_secret(self, arg: int, **fields: Any) -> None:
        secret = self._secret(arg)
        there = self._site.secrets.stored.get(secret)
        if there is not None and there.owner is not None:
            self._world.invariants.loses(self._site, secret)
            self._site.secrets.put(secret, replace(there, **fields))

    def _process(self, arg: int) -> Any:
        leading = self._site.leadership.holder
        processes = [p for p in self._site.processes.values() if p is leading] or [*self._site.processes.values()]
        return processes[0] if arg < 6 else [*self._site.processes.values()][-1]

    def _remember(self, event: str, obj: Object) -> None:
        if obj["kind"] == "ApiKey" and obj["metadata"]["name"] == KEY.name and event != "DELETED":
            self._copies.append(obj)

    def _remember_secret(self, key: ResourceKey, there: Stored | None, _version: int) -> None:
        if there is not None:
            self._secrets.append((key, there))

    def _once_gone(self, then: Any) -> Any:
        def watcher(event: str, obj: Object) -> None:
            if event == "DELETED" and obj["metadata"]["name"] == KEY.name:
                self._site.server.watchers.remove(watcher)
                self._world.later(0.01, then)

        return watcher
