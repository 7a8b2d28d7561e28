"""What must hold once faults have stopped and all is mended: mixed into the invariants, which know what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.simulation.names import KEY
from tests.simulation.process import CLUSTER_ID

from keywright.api.apikey_status import ApiKeyStatus
from keywright.keys import ResourceKey, Tag

if TYPE_CHECKING:
    from tests.simulation.grants import Grants
    from tests.simulation.world import Site

    from keywright.ports.cluster import Object

__all__ = ["AtRest", "named_in"]


def named_in(status: dict) -> tuple[set[str], set[str]]:
    """Keys and attempts that a status names."""
    keys = {p["keyId"] for p in status.get("previous") or ()} | ({status["keyId"]} if "keyId" in status else set())
    attempts = {a["id"] for a in [status.get("attempt"), *(status.get("closedAttempts") or ())] if a}
    return keys, attempts


class AtRest:
    """I1, I2, I4 and I5, as they stand in the end."""

    _world: Any
    _grants: Grants
    _touched: dict

    def unfinished(self) -> str | None:
        """What is still to come: None once all is at rest."""
        for site in self._world.sites:
            for (kind, _), obj in site.server.stored.items():
                if kind == "ApiKey" and (problem := self._to_come(site, obj)):
                    return problem
        return self._strays() or self._unworking() or self._litter() or self._unnoticed()

    def _to_come(self, site: Site, obj: Object) -> str | None:
        """Of one ApiKey."""
        name = f"{obj['metadata']['name']} of {site.name}"
        status = ApiKeyStatus.model_validate(obj.get("status") or {})
        if _waits_for_a_person(site, status):
            return None
        if "deletionTimestamp" in obj["metadata"]:
            return f"{name} is still being deleted: {status.conditions}"
        if self._grants.overdue(site, obj):
            return f"{name} has a key that no grant allows"
        ready, stalled = status.condition("Ready"), status.condition("Stalled")
        if status.attempt is not None:
            return f"{name} has an open attempt"
        if ready is None or (ready.status != "True" and stalled is None):
            return f"{name} is not Ready: {ready.message if ready else status}"
        soon = [p for p in status.previous if p.revoke_at.timestamp() < site.clock().timestamp() + 3600]
        if (soon or status.rollout) and _is_ready(obj) and stalled is None:
            return f"{name} has older keys that end soon, or workloads to restart"
        if status.observed_generation != obj["metadata"]["generation"]:
            return f"{name} has not been looked at"
        return None

    def _unnoticed(self) -> str | None:
        """What people did to a path in Vault is seen by the next look over it."""
        sites = self._world.sites if self._world.history.vault else ()
        return next((problem for site in sites if (problem := self._unfit(site))), None)

    def _litter(self) -> str | None:
        """What is bound to an ApiKey stands where its status says that its keys are, and nowhere else.

        Where people destroyed a status, nothing says any more what stood where; of two operators without a lease, one may fence what
        the other has just given up.
        """
        if self._forgotten or self._world.history.operators == "two":
            return None
        for site in self._world.sites:
            places = {}
            for (kind, _), obj in site.server.stored.items():
                status = obj.get("status") or {}
                if kind == "ApiKey" and _is_ready(obj):
                    named = [
                        status.get("target", {}).get("name"),
                        *(p.get("target") for p in status.get("previous", ())),
                    ]
                    places[obj["metadata"]["uid"]] = named
            for secret, there in site.secrets.stored.items():
                put_by_people = (site.name, secret) in self._touched
                if there.owner and not put_by_people and secret.name not in places.get(there.owner.uid, [secret.name]):
                    return f"the Secret {secret} was left behind"
        return None

    def _unworking(self) -> str | None:
        """I2, where an ApiKey calls itself Ready; but where all keys of a cluster are gone at once, nothing is re-issued."""
        broken = [b for b in self._broken() if _is_ready(b[0].server.stored["ApiKey", b[1]])]
        for site, key, why, _ in broken:
            if len(self._held(site)) == 1 or self._held(site) - {other for at, other, _, _ in broken if at is site}:
                return f"I2: {key}: {why}"
        return None

    def _held(self, site: Site) -> set[ResourceKey]:
        return {
            key
            for (kind, key), obj in site.server.stored.items()
            if kind == "ApiKey" and "keyId" in (obj.get("status") or {})
        }

    def _strays(self) -> str | None:
        """I1: what lives is named."""
        named: set[str] = set()
        for site in self._world.sites:
            for (kind, _), obj in site.server.stored.items():
                if kind == "ApiKey":
                    named |= named_in(obj.get("status") or {})[0]
            named |= {there.record["key-id"] for there in site.secrets.stored.values() if "key-id" in there.record}
        for platform in self._world.platforms.values():
            for live in platform.keys.values():
                tag = Tag.parse(live.listed.name)
                if tag is None or tag.cluster != CLUSTER_ID or live.listed.key_id in named:
                    continue
                if not {live.listed.key_id, tag.attempt} & self._orphans:
                    return f"I1: nobody names the live key {live.listed.key_id} ({live.listed.name})"
        return None

    def broken_at_rest(self) -> str | None:
        """What must hold in the end, and is not waited for."""
        for site in self._world.sites:
            if problem := self._unfit(site):
                return problem
        for platform, key_id in self._others_keys:
            if key_id not in platform.keys:
                return f"I6: the key {key_id} of somebody else is gone"
        return self._told() or self._too_many()

    def _unfit(self, site: Site) -> str | None:
        obj = site.server.stored.get(("ApiKey", KEY))
        if obj is None:
            return None
        status = ApiKeyStatus.model_validate(obj.get("status") or {})
        ready, stalled = status.condition("Ready"), status.condition("Stalled")
        if (ready is None or ready.status != "True") and (stalled is None or len(stalled.message) < 20):
            return f"I4: {KEY} is neither Ready nor Stalled with a message"
        if ready and ready.status == "True" and status.target:
            there = site.secrets.stored.get(ResourceKey(KEY.namespace, status.target.name))
            if there is None or there.record.get("key-id") != status.key_id:
                return f"I2: {KEY} is Ready, and its Secret holds another key than its status names"
        return None

    def _told(self) -> str | None:
        """I3: no plaintext but in Secrets."""
        for site in self._world.sites:
            said = repr([*site.server.stored.values(), *(p.cluster.events for p in site.processes.values())])
            if self.gives_away(said):
                return "I3: a plaintext was given away"
        return None

    def gives_away(self, said: str) -> bool:
        """Whether a plaintext that lives stands in this text."""
        platforms = self._world.platforms.values()
        return any(live.plaintext in said for platform in platforms for live in platform.keys.values())

    def _too_many(self) -> str | None:
        """I5: no more POSTs than reasons and faults. Two operators that know nothing of each other are each other's fault."""
        if self._world.history.operators == "two":
            return None
        posts = sum(p.posts for p in self._world.platforms.values())
        reasons = len(self._delivered) + self._world.costs + len(self._world.history.acts)
        return f"I5: {posts} POSTs for {reasons} reasons and faults" if posts > reasons else None


def _waits_for_a_person(site: Site, status: ApiKeyStatus) -> bool:
    """A restored status names an issuer that has gone since: nobody can revoke there any more, which is said."""
    entries = [status, status.attempt, *status.previous, *status.closed_attempts]
    made_by = {entry.issuer.uid for entry in entries if entry and entry.issuer}
    there = {obj["metadata"]["uid"] for (kind, _), obj in site.server.stored.items() if kind == "KeyIssuer"}
    stalled = status.condition("Stalled")
    return stalled is not None and stalled.reason == "IssuerCredentialsGone" and not made_by <= there


def _is_ready(obj: Object) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
