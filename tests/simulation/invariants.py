"""The invariants of design/protocol.md, asked at every step of a history and once it is quiet.

Knows what people did only as far as it excuses keywright: a Secret that somebody spoiled may hold a dead key until it is mended;
a key whose only record somebody destroyed may live on, and is to be reported.
"""

from __future__ import annotations

from collections import defaultdict, deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from tests.simulation.grants import Grants
from tests.simulation.names import KEY
from tests.simulation.process import CLUSTER_ID, MIN_INTERVAL
from tests.simulation.rest import AtRest, named_in

from keywright.api.apikey import RestartRef
from keywright.api.reading import issuers_recorded
from keywright.keys import KeyRecord, ResourceKey, Tag
from keywright.planning.observed import Rolling

if TYPE_CHECKING:
    from tests.ports.fake_issuer import FakePlatform, Live
    from tests.ports.fake_sink import Stored
    from tests.simulation.process import Process
    from tests.simulation.world import Site, World

    from keywright.keys import KeyId
    from keywright.ports.cluster import Object

__all__ = ["Invariants"]

_UNGUARDED: Final = ("Triggered", "Compromised", "SpecChanged")
"""Reasons that the storm guard lets pass, each in its own measure."""
_SPEC_CHANGES: Final = 3
_A_STEP: Final = 2.0
"""Seconds from a read to the effect that it decides, where nothing stands still."""
_STORM: Final = 300
"""POSTs that no history gives reason for: where a guard is left out one key may follow another without end."""
_WAR: Final = 120
"""Statuses written within a minute that no history gives reason for: two write against each other."""


class _Recorded:
    """What one site's ApiKeys have ever named: keys by id, attempts by theirs."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.attempts: set[str] = set()

    def add(self, status: dict) -> None:
        """All of one status."""
        keys, attempts = named_in(status)
        self.keys |= keys
        self.attempts |= attempts


class Invariants(AtRest):
    """Of one world: at every step; rest.py knows those of the end."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._grants = Grants(world)
        self._recorded: dict[str, _Recorded] = {}
        self._excused: set[tuple[str, ResourceKey]] = set()
        self._touched: dict[tuple[str, ResourceKey], float] = {}
        self._ended_by: dict[str | None, str] = {}
        """By plaintext: which site revoked it, or people; nobody, where a lost grant ended it, so that it may be dead."""
        self._delivered: set[str] = set()
        self._last_records: dict[tuple[str, ResourceKey], KeyRecord] = {}
        """What each Secret was last seen to hold."""
        self._problem: str | None = None
        self._held_as_it_stands = 0
        """When the invariants were asked last: most steps are reads and change nothing that they speak of."""
        self._written: deque[float] = deque(maxlen=_WAR)
        """When statuses were."""
        self._settled: dict[str, list[tuple[float, str]]] = defaultdict(list)
        """By uid: when a key was settled, and why."""
        self.foreign: dict[tuple[str, ResourceKey], Stored] = {}
        """Secrets of others, which nobody of us may touch."""
        self.given: dict[tuple[str, ResourceKey], Stored] = {}
        """Secrets that others give away: taken only where the spec says so, and what they put there stays."""
        self._adopting = False
        self._others_keys: list[tuple[FakePlatform, KeyId]] = []
        self._orphans: set[str] = set()
        """Keys and attempts whose record people destroyed."""
        self.clock_jumped = False
        self._forgotten = False
        self.triggered_at = float("-inf")

    def watch(self, site: Site, clone_of: Site | None = None) -> None:
        """From now on; a clone knows what its snapshot knows."""
        recorded = self._recorded[site.name] = _Recorded()
        if clone_of is not None:
            for obj in clone_of.server.stored.values():
                recorded.add(obj.get("status") or {})
            self._orphans |= recorded.attempts
            for at in [at for at in self._touched if at[0] == clone_of.name]:
                self._touched[site.name, at[1]] = self._touched[at]
            self._excused |= {(site.name, key) for at, key in self._excused if at == clone_of.name}
            for at, settled in list(self._settled.items()):
                self._settled[f"{site.name}/{at.partition('/')[2]}"] = [*settled]
            self._grants.cloned(site, clone_of)
        site.server.watchers.append(lambda event, obj: self._stored(site, obj, event))

    def keep_off(self, platform: FakePlatform) -> None:
        """Keys of others: without a tag, and with another cluster's."""
        from keywright.ports.issuer import KeyRequest  # noqa: PLC0415 - one use

        workspace, user = platform.workspaces[0].id, platform.users["dev@example.com"]
        for name in ("by hand", f"theirs {Tag.of('0ther000', 'abcdefgh', 'a0000001')}"):
            live = platform.make(KeyRequest(name, workspace, user, None))
            platform.commit(live)
            self._others_keys.append((platform, live.listed.key_id))

    # What people did.

    def forgets(self, site: Site, obj: Object, after: dict) -> None:
        """Somebody replaces a status by another: what only the first one named is an orphan now."""
        keys, attempts = named_in(obj.get("status") or {})
        kept_keys, kept_attempts = named_in(after)
        self._orphans |= (keys - kept_keys) | (attempts - kept_attempts)
        self._forgotten = True
        self._touched[site.name, KEY] = self._world.time()
        # What is restored may be named by an attempt that has been closed and forgotten since.
        self._recorded[site.name].add(after)
        self.clock_jumped = True

    def gives(self, site: Site, secret: ResourceKey, there: Stored) -> None:
        """Somebody makes a Secret that the ApiKey may have."""
        self.given[site.name, secret] = there

    def restores(self, site: Site) -> None:
        """Somebody brings an ApiKey back as it was: keywright hears of it a moment later."""
        self.clock_jumped = True
        self._touched[site.name, KEY] = self._world.time()

    def touches(self, site: Site) -> None:
        """Somebody edits what an older key waits for: keywright hears of it a moment later."""
        self._touched[site.name, KEY] = self._world.time()

    def people_revoked(self) -> None:
        """In the platform's console."""
        for platform in self._world.platforms.values():
            self._ended_by |= {live.plaintext: "people" for live in platform.ended}
            platform.ended.clear()

    def jumps(self, site: Site) -> None:
        """Times that were waited for may be over at once: also the one for keys that are still on their way."""
        self.clock_jumped = True
        self._orphans |= self._recorded[site.name].attempts

    def loses(self, site: Site, secret: ResourceKey) -> None:
        """Somebody takes a Secret away or changes it: what it holds then is theirs, and a key that was retained in it nobody's."""
        self._touched[site.name, secret] = self._world.time()
        there = site.secrets.stored.get(secret)
        record = KeyRecord.from_strings(there.record) if there else None
        if record:
            owner = site.server.stored.get(("ApiKey", record.owner))
            if (
                owner is None
                or "deletionTimestamp" in owner["metadata"]
                or owner["metadata"]["uid"] != record.owner_uid
            ):
                self._orphans |= {record.key_id, record.attempt}

    # At every step.

    def happened(self, process: Process, call: str) -> None:
        """A call had its effect."""
        site = process.site
        if call == "revoke":
            for platform in self._world.platforms.values():
                self._rightly_revoked(process, platform)
        elif call == "deliver":
            self._displaced(site)
        elif call == "restart":
            self._restarted_twice(site)
        elif call == "patch_status of ApiKey":
            self._written.append(self._world.time())
            if len(self._written) == _WAR and self._written[-1] - self._written[0] < 60:
                self._problem = self._problem or f"I5: {_WAR} statuses in a minute, and no end of it"
        elif call == "create" and (posts := sum(p.posts for p in self._world.platforms.values())) > _STORM:
            self._problem = self._problem or f"I5: {posts} POSTs, and no end of it"

    def broken(self) -> str | None:
        """What does not hold now."""
        if self._problem:
            return self._problem
        stands = self._stands()
        if stands == self._held_as_it_stands:
            return None
        if (problem := self._breaks()) is None:
            self._held_as_it_stands = stands
        return problem

    def _stands(self) -> int:
        """Higher whenever anything is stored, written to a Secret, made or ended: none of these versions ever falls."""
        stands = 0
        for site in self._world.sites:
            stands += site.server.version + site.secrets.version
        for platform in self._world.platforms.values():
            stands += platform.version
        return stands

    def _breaks(self) -> str | None:
        broken = self._broken()
        self._excused &= {(site.name, key) for site, key, _, _ in broken}
        for (name, secret), there in self.foreign.items():
            if self._world.site(name).secrets.stored.get(secret) is not there:
                return f"I6: the foreign Secret {secret} was changed"
        for (name, secret), there in self.given.items():
            stands = self._world.site(name).secrets.stored.get(secret)
            if stands is None or (stands.texts | stands.others).get("theirs") != "theirs":
                return f"I6: what others had put into {secret} is gone"
            if stands is not there and not self._adopting:
                return f"I6: {secret} was changed, and no spec adopts it"
        for site, key, why, dead in broken:
            if (site.name, key) in self._excused:
                continue
            if not self._theirs(site, key, dead):
                return f"I2: {key} of cluster {site.name}: {why}"
            self._excused.add((site.name, key))
        return None

    def _theirs(self, site: Site, key: ResourceKey, dead: str | None) -> bool:
        """Whether it is for others that a Secret does not work: revoked by them, or touched by them lately.

        Lately: since the last read that a step, which may have stood still since, was decided by.
        """
        if self._ended_by.get(dead, site.name) != site.name:
            return True
        place = site.server.stored["ApiKey", key]["status"]["target"]["name"]
        secret = ResourceKey(key.namespace, place)
        there = site.secrets.stored.get(secret)
        record = KeyRecord.from_strings(there.record) if there else None
        if (record is None or record.owner != key) and (site.name, secret) in self._touched:
            return True  # only people take a record away, or put another ApiKey's in its place
        return self._lately(site, secret)

    def _lately(self, site: Site, place: ResourceKey) -> bool:
        touched = self._touched.get((site.name, place))
        now = self._world.time()
        return touched is not None and (now - touched < _A_STEP or touched < self._world.stalled_until + _A_STEP)

    def _broken(self) -> list[tuple[Site, ResourceKey, str, str | None]]:
        """Where a Secret does not work: why, and the dead plaintext in it."""
        found = []
        for site in self._world.sites:
            for (kind, key), obj in site.server.stored.items():
                if kind != "ApiKey" or "deletionTimestamp" in obj["metadata"]:
                    continue
                status = obj.get("status") or {}
                if "keyId" not in status or "target" not in status:
                    continue
                there = site.secrets.stored.get(ResourceKey(key.namespace, status["target"]["name"]))
                if there is None or (there.owner is None and not self._accepted(there.plaintext)):
                    found.append((site, key, "its Secret is gone", None))
                elif not self._accepted(there.plaintext):
                    dead = f"its Secret holds a dead key ({there.record.get('key-id')})"
                    found.append((site, key, dead, there.plaintext))
        return found

    def _accepted(self, plaintext: str | None) -> bool:
        return any(platform.accepts(plaintext) for platform in self._world.platforms.values())

    def _rightly_revoked(self, process: Process, platform: FakePlatform) -> None:
        """Revoked is only what was recorded."""
        site = process.site
        for live in platform.ended:
            tag = Tag.parse(live.listed.name)
            recorded = self._recorded[site.name]
            if tag is None or tag.cluster != CLUSTER_ID:
                self._problem = f"I6: the key of somebody else was revoked: {live.listed.name}"
            elif live.listed.key_id not in recorded.keys and tag.attempt not in recorded.attempts:
                self._problem = f"revoked without a record: {live.listed.name} by cluster {site.name}"
            self._ended_by[live.plaintext] = site.name
            self._too_early(process, live)
        platform.ended.clear()

    def _too_early(self, process: Process, live: Live) -> None:
        """A current key ends for a lost grant alone; an older one while its successor stands in the target: else nobody could move over."""
        site, key_id = process.site, live.listed.key_id
        for (kind, key), obj in site.server.stored.items():
            status = obj.get("status") or {}
            if kind != "ApiKey" or "deletionTimestamp" in obj["metadata"]:
                continue
            older = {p["keyId"] for p in status.get("previous") or ()}
            if key_id not in {status.get("keyId"), *older}:
                continue
            if "keyId" in status and self._grants.excuse(process, status, clock_jumped=self.clock_jumped):
                self._ended_by[live.plaintext] = "nobody"
                continue
            if status.get("keyId") == key_id and not self._lately(site, key):
                self._problem = f"the current key {key_id} of {key} was revoked"
            if key_id not in older:
                continue
            self._before_the_rollouts(site, obj, key_id)
            place = ResourceKey(key.namespace, status["target"]["name"])
            there = site.secrets.stored.get(place)
            holds = there is not None and (
                (there.owner is not None and there.record.get("key-id") == status["keyId"])
                or self._accepted(there.plaintext)
            )
            if not holds and not self._lately(site, place):
                self._problem = f"the older key {key_id} of {key} was revoked while {place} held no newer one"

    def _before_the_rollouts(self, site: Site, obj: Object, key_id: str) -> None:
        """An older key that waits for a rollout ends once that is complete, or after a day. Without a lease nobody knows."""
        status, key = obj["status"], ResourceKey(obj["metadata"]["namespace"], obj["metadata"]["name"])
        [until] = [p.get("rolloutsUntil") for p in status["previous"] if p["keyId"] == key_id]
        if self._world.history.operators == "two" or self._lately(site, key) or until is None:
            return
        if site.clock() >= datetime.fromisoformat(until):
            return
        wanted = [RestartRef.model_validate(w) for w in obj["spec"]["rotation"].get("restart") or ()]
        for entry in (status.get("rollout") or {}).get("pending", ()):
            workload = RestartRef(kind=entry["kind"], name=entry["name"])
            there = site.workloads.stored.get((key.namespace, workload))
            if workload in wanted and there is not None and isinstance(site.workloads.progress(there), Rolling):
                self._problem = (
                    f"the older key {key_id} of {key} was revoked before the rollout of {entry['name']} was complete"
                )

    def _restarted_twice(self, site: Site) -> None:
        """Once for each key; people who put an older status back ask for it again, and without a lease a sleeper may be late."""
        if self._forgotten or self.clock_jumped or self._world.history.operators == "two":
            return
        for (_, workload), there in site.workloads.stored.items():
            if len(set(there.rolls)) < len(there.rolls):
                self._problem = f"{workload.name} was restarted twice for one key: {there.rolls}"

    def _displaced(self, site: Site) -> None:
        """A delivery went over a key that an ApiKey of that name had left: it lives on, and an event names it."""
        for secret, there in site.secrets.stored.items():
            record = KeyRecord.from_strings(there.record)
            before = self._last_records.get((site.name, secret))
            if record and before and before.owner_uid != record.owner_uid:
                self._orphans |= {before.key_id, before.attempt}
            if record:
                self._last_records[site.name, secret] = record

    def _stored(self, site: Site, obj: Object, event: str) -> None:
        """A new version of an object: its status records, and may settle; an issuer goes with nothing left at it."""
        status = obj.get("status") or {}
        if obj["kind"] == "KeyIssuer":
            self._grants.heard(site, obj, event)
        if obj["kind"] != "ApiKey":
            if event == "DELETED":
                self._gone(site, obj)
            return
        self._adopting |= bool(obj["spec"]["target"].get("secret", {}).get("adopt"))
        self._recorded[site.name].add(status)
        if self.gives_away(str(status)):
            self._problem = f"I3: a plaintext stands in {obj['metadata']['name']}"
        if "keyId" in status:
            self._delivered.add(status["keyId"])
        recent = status.get("recentIssuances") or []
        history = self._settled[f"{site.name}/{obj['metadata']['uid']}"]
        if recent and (not history or recent[-1]["at"] != history[-1][1].partition(" ")[0]):
            self._storm(obj, history, recent[-1])
            history.append((self._world.time(), f"{recent[-1]['at']} {recent[-1]['reason']}"))

    def _gone(self, site: Site, issuer: Object) -> None:
        at = issuer["kind"], issuer["metadata"]["name"]
        for (kind, key), obj in site.server.stored.items():
            if kind == "ApiKey" and at in issuers_recorded(obj) and not self._lately(site, key):
                self._problem = f"{at[1]} is gone, and {key} has keys or attempts at it"

    def _storm(self, obj: Object, history: list[tuple[float, str]], latest: dict) -> None:
        """The storm guard's promise."""
        at = datetime.fromisoformat(latest["at"])
        before = [entry.partition(" ") for _, entry in history]
        lately = [
            reason
            for then, _, reason in before
            if at - datetime.fromisoformat(then) < timedelta(seconds=MIN_INTERVAL - 1)
        ]
        reason = latest["reason"]
        if self.clock_jumped or self._world.time() - self.triggered_at < MIN_INTERVAL:
            return
        if (reason not in _UNGUARDED and lately) or (
            reason == "SpecChanged" and lately.count("SpecChanged") >= _SPEC_CHANGES
        ):
            self._problem = f"storm: {reason} settled within the interval after {lately} for {obj['metadata']['name']}"
