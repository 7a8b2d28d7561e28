"""What people and the world outside can do: each act of a history, as a method of its name. Mixed into People."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.ports.fake_sink import Stored
from tests.simulation.names import ISSUERS, KEY, NOTHING, RIVAL, WEB, issuer_key

from keywright.api.apikey import FINALIZER
from keywright.keys import KeyId, Workspace

if TYPE_CHECKING:
    from tests.simulation.world import World

__all__ = ["Acts"]


class Acts:
    """By their names."""

    _world: World
    _for_good: set[str]

    # The spec.

    def _edit(self, **spec: Any) -> None:
        if (obj := self._api_key()) is not None and any(obj["spec"].get(k) != v for k, v in spec.items()):
            self._site.server.edit("ApiKey", KEY, lambda obj: obj["spec"].update(copy.deepcopy(spec)))

    def _edit_label(self, arg: int) -> None:
        self._edit(label=f"label {arg}")

    def _edit_workspace(self, arg: int) -> None:
        self._edit(workspace=("search-prod", "billing", "Default")[arg % 3])

    def _edit_validity(self, arg: int) -> None:
        self._edit(expiry={"validity": ("90d", "3d", "30d")[arg % 3]})

    def _edit_target(self, arg: int) -> None:
        obj = self._api_key()
        [looks] = obj["spec"]["target"].values() if obj else [{}]
        self._edit(target=self._target(arg, looks))

    def _edit_template(self, arg: int) -> None:
        obj = self._api_key()
        [(kind, looks)] = obj["spec"]["target"].items() if obj else [("secret", {})]
        template = {"api-key": "${api_key}", "team": str(arg)}
        changed = {"labels": {"team": str(arg)}} if kind == "secret" else {"template": template}
        self._edit(target={kind: {**looks, **changed}})

    def _edit_issuer(self, arg: int) -> None:
        self._edit(issuerRef={"name": ("main", "spare")[arg % 2]})

    def _edit_overlap(self, arg: int) -> None:
        self._edit_rotation(overlap=("0s", "5m", "48h", "30m")[arg % 4])

    def _edit_restart(self, arg: int) -> None:
        self._world.invariants.touches(self._site)
        self._edit_rotation(restart=[w.to_dict() for w in ((WEB,), (), (WEB, NOTHING), (NOTHING,))[arg % 4]])

    def _edit_rotation(self, **fields: Any) -> None:
        if (obj := self._api_key()) is not None:
            self._edit(rotation={**obj["spec"]["rotation"], **fields})

    def _edit_workloads(self, arg: int) -> None:
        """The Deployment goes, or comes again; the right to it is taken away, or given back."""
        workloads, at = self._site.workloads, (KEY.namespace, WEB)
        if arg % 4 == 0:
            workloads.stored.pop(at, None)
        elif arg % 4 == 1 and at not in workloads.stored:
            workloads.create(*at)
        elif arg % 4 > 1:
            workloads.forbidden = arg % 4 == 2

    def _suspend_or_resume(self, arg: int) -> None:
        self._edit(suspend=arg % 2 == 0)

    def _retain_or_revoke(self, arg: int) -> None:
        self._edit(deletionPolicy=("Retain", "Revoke")[arg % 2])

    def _rotate(self, _arg: int) -> None:
        self._annotate("rotate")

    def _rotate_three_times(self, _arg: int) -> None:
        for _ in range(3):
            self._annotate("rotate")

    def _compromised(self, _arg: int) -> None:
        self._annotate("compromised")

    # Whole objects.

    def _delete(self, _arg: int) -> None:
        obj = self._api_key()
        if obj is not None:
            if not obj["metadata"].get("finalizers"):
                self._world.invariants.forgets(self._site, obj, {})  # somebody took the finalizer off: it goes at once
            self._site.server.delete("ApiKey", KEY)

    def _recreate(self, _arg: int = 0) -> None:
        if ("ApiKey", KEY) not in self._site.server.stored:
            self._create(KEY)

    def _delete_and_create(self, _arg: int) -> None:
        self._delete(0)
        # kubectl replace --force: created as soon as the finalizer lets go.
        self._site.server.watchers.append(self._once_gone(self._recreate))

    def _wait(self, _arg: int) -> None:
        """Nothing."""

    def _wipe_status(self, _arg: int) -> None:
        if (obj := self._api_key()) is not None and obj.get("status"):
            self._world.invariants.forgets(self._site, obj, {})
            self._site.server.store(("ApiKey", KEY), {k: v for k, v in obj.items() if k != "status"})

    def _restore_apikey(self, arg: int) -> None:
        """Velero or etcd: an older copy comes back, status and all, where it is or where it was deleted."""
        if not self._copies:
            return
        old = self._copies[-1 - arg % min(len(self._copies), 4)]
        there = self._site.server.stored.get(("ApiKey", KEY))
        if there is not None and (
            there["metadata"]["uid"] != old["metadata"]["uid"] or "deletionTimestamp" in there["metadata"]
        ):
            return
        meta = {k: v for k, v in old["metadata"].items() if k not in ("deletionTimestamp", "resourceVersion")}
        meta["generation"] = (there or old)["metadata"]["generation"] + 1
        if there is None:
            meta["uid"] = self._world.new_id()
        else:
            self._world.invariants.forgets(self._site, there, old.get("status") or {})
        self._world.invariants.restores(self._site)
        for secret in self._world.history.places:
            self._world.invariants.loses(self._site, secret)  # the status may name what is there no more
        self._site.server.store(("ApiKey", KEY), {**old, "metadata": meta}, "ADDED" if there is None else "MODIFIED")

    def _take_finalizer_off(self, _arg: int) -> None:
        obj = self._site.server.stored.get(("ApiKey", KEY))
        if obj is None or FINALIZER not in obj["metadata"].get("finalizers", ()):
            return
        if "deletionTimestamp" in obj["metadata"]:
            self._world.invariants.forgets(self._site, obj, {})
        self._site.server.edit("ApiKey", KEY, lambda obj: obj["metadata"].update(finalizers=[]))

    def _claim_target(self, arg: int) -> None:
        """Another ApiKey names the same Secret; or it goes again."""
        server = self._site.server
        if ("ApiKey", RIVAL) not in server.stored:
            self._create(RIVAL, target=self._target(arg))
        elif arg % 3 == 0:
            server.delete("ApiKey", RIVAL)

    # The issuers.

    def _delete_issuer(self, arg: int) -> None:
        """It waits while anything may have to be revoked at it."""
        at = ("KeyIssuer", issuer_key(("main", "spare")[arg % 2]))
        if at in self._site.server.stored:
            self._site.server.delete(*at)

    def _create_issuer_again(self, arg: int) -> None:
        name = ("main", "spare")[arg % 2]
        if ("KeyIssuer", issuer_key(name)) not in self._site.server.stored:
            self._create_issuer(name)

    def _delete_admin_secret(self, _arg: int) -> None:
        self._site.server.values.pop(("Secret", "search", "admin"), None)

    # The Secret.

    def _delete_secret(self, arg: int) -> None:
        secret = self._secret(arg)
        if secret in self._site.secrets.stored:
            self._world.invariants.loses(self._site, secret)
            self._world.invariants.foreign.pop((self._site.name, secret), None)
            self._world.invariants.given.pop((self._site.name, secret), None)
            self._site.secrets.remove(secret)

    def _spoil_secret(self, arg: int) -> None:
        self._change_secret(arg, plaintext="spoilt", texts={"api-key": "spoilt"}, layout_digest="drifted")

    def _strip_secret(self, arg: int) -> None:
        """Kubectl replace: our annotations are gone, or all but the data."""
        whole: dict[str, Any] = {"owner": None} if arg % 2 else {}
        self._change_secret(arg, record={}, layout_digest="drifted", fence=None, adopted=None, **whole)

    def _give_secret(self, arg: int) -> None:
        """Somebody makes a Secret by hand and gives it to the ApiKey: whether that takes it is for the spec. None in Vault."""
        if self._world.history.vault:
            return
        secret = self._secret(arg)
        self._world.invariants.loses(self._site, secret)
        texts = {"api-key": "by hand", "theirs": "theirs"}
        given = Stored(0, None, self._world.new_id(), texts=texts, adoptable_by=KEY.name)
        self._world.invariants.foreign.pop((self._site.name, secret), None)
        self._world.invariants.gives(self._site, secret, self._site.secrets.put(secret, given))

    def _edit_adopt(self, arg: int) -> None:
        if self._world.history.vault:
            return
        obj = self._api_key()
        secret = obj["spec"]["target"]["secret"] if obj else {}
        self._edit(target={"secret": {**secret, "adopt": arg % 4 != 0}})

    def _restore_secret(self, arg: int) -> None:
        ours = [(key, old) for key, old in self._secrets if old.owner is not None]
        if ours:
            key, old = ours[-1 - arg % min(len(ours), 6)]
            there = self._site.secrets.stored.get(key)
            if there is None or there.owner is not None:
                self._world.invariants.loses(self._site, key)
                self._world.invariants.given.pop((self._site.name, key), None)
                self._site.secrets.put(key, replace(old, uid=there.uid if there else self._world.new_id()))

    def _foreign_secret(self, arg: int) -> None:

        secret = self._secret(arg)
        self._world.invariants.loses(self._site, secret)
        self._world.invariants.given.pop((self._site.name, secret), None)
        texts = {"api-key": "theirs"}
        stored = Stored(0, None, self._world.new_id(), plaintext="theirs", texts=texts)
        self._world.invariants.foreign[self._site.name, secret] = self._site.secrets.put(secret, stored)

    def _free_secret(self, arg: int) -> None:
        secret = self._secret(arg)
        there = self._site.secrets.stored.get(secret)
        if there is not None and there.owner is None:
            if (self._site.name, secret) not in self._world.invariants.foreign:
                self._world.invariants.loses(self._site, secret)  # stripped: it may hold the key
            self._world.invariants.foreign.pop((self._site.name, secret), None)
            self._world.invariants.given.pop((self._site.name, secret), None)
            self._site.secrets.remove(secret)

    # The platform.

    def _revoke_at_the_platform(self, arg: int) -> None:
        """The current key, or an older one; whoever held it holds it no more."""
        status = self._status()
        ids = [status.key_id, *(p.key_id for p in status.previous)] if status else []
        ids = [key_id for key_id in ids if key_id]
        if ids:
            key_id = KeyId(ids[0 if arg % 4 else -1])
            for platform in self._world.platforms.values():
                platform.end(key_id)
            self._world.invariants.people_revoked()

    def _archive_workspace(self, arg: int) -> None:
        platform = self._world.platform
        workspace = platform.workspaces[1]
        name = f"old {workspace.name.removeprefix('old ')}" if arg % 2 == 0 else workspace.name.removeprefix("old ")
        platform.workspaces[1] = Workspace(workspace.id, name)

    def _swap_admin_key(self, _arg: int) -> None:
        self._world.platform.admin_key = "another"

    def _mend_admin_key(self, arg: int) -> None:
        self._world.platform.admin_key = "admin" if arg % 2 else "new"
        self._site.server.values["Secret", "search", "admin"] = {"key": self._world.platform.admin_key}
        self._world.platforms["https://two.example"].admin_key = self._world.platform.admin_key

    def _take_grant_away(self, arg: int) -> None:
        """Of one workspace or of all; a limit that is tightened takes none away. From 6 on: for good, unless somebody gives it back."""
        issuer = "spare" if arg == 3 else "main"
        grants: list[dict[str, Any]] = [{"workspaces": ["nothing"]}]
        if arg == 4:
            grants.append({"workspaces": ["billing"]})
        elif arg == 5:
            grants.append({"workspaces": ["*"], "maxValidity": "1d"})
        elif arg > 5:
            self._for_good.add(issuer)
        self._edit_issuer_named(issuer, grants=grants)

    def _give_grant_back(self, arg: int) -> None:
        """All of them, or those of one workspace."""
        self._for_good.clear()
        for name, url in ISSUERS.items():
            one = [{"workspaces": [self._world.platforms[url].workspaces[1].id]}]
            self._edit_issuer_named(name, grants=one if arg == 7 else None)

    def _revoke_or_keep_ungranted(self, arg: int) -> None:
        for name in ISSUERS:
            self._edit_issuer_named(name, onGrantLost=("Revoke", "Keep")[arg % 2])

    def _edit_issuer_named(self, name: str, **fields: Any) -> None:
        """None: without that field."""
        if ("KeyIssuer", issuer_key(name)) in self._site.server.stored:
            kept = {field: value for field, value in fields.items() if value is not None}
            self._site.server.edit(
                "KeyIssuer",
                issuer_key(name),
                lambda obj: obj.update(spec={k: v for k, v in obj["spec"].items() if k not in fields} | kept),
            )

    def _clamp_expiry(self, arg: int) -> None:
        platform = self._world.platform
        platform.latest = (platform.clock() + timedelta(days=arg)).date() if arg else None

    def _listings_lag(self, arg: int) -> None:
        for platform in self._world.platforms.values():
            platform.lag = timedelta(seconds=(0, 5, 30, 60, 120, 200, 0, 0)[arg])

    def _platform_away(self, arg: int) -> None:
        self._world.platform_away_until = self._world.time() + (5, 60, 300, 1200)[arg % 4]

    # Machines.

    def _apiserver_away(self, arg: int) -> None:
        self._site.away_until = self._world.time() + (5, 60, 300, 1200)[arg % 4]

    def _vault_away(self, arg: int) -> None:
        self._site.vault_away_until = self._world.time() + (5, 60, 300, 3600)[arg % 4]

    def _crash(self, arg: int) -> None:
        self._world.costs += 1
        self._world.kill(self._process(arg), "crashed")

    def _freeze(self, arg: int) -> None:
        self._world.costs += 1
        self._process(arg).freeze((5, 30, 200, 1000, 2000, 30, 60, 900)[arg])

    def _deafen(self, arg: int) -> None:
        process = self._process(arg)
        process.deaf_until = self._world.time() + (5, 60, 600, 1500)[arg % 4]
        self._world.later(process.deaf_until - self._world.time(), process.relist)

    def _depose(self, _arg: int) -> None:
        self._world.costs += 1
        self._site.leadership.depose()

    def _jump_clock(self, arg: int) -> None:
        self._site.skew += timedelta(minutes=(-60, -30, -2, 2, 30, 180, 1441, 2881)[arg])
        self._world.invariants.jumps(self._site)

    def _clone_cluster(self, _arg: int) -> None:
        from tests.simulation.world import Site  # noqa: PLC0415 - the world is made of people, too

        if len(self._world.sites) == 1:
            clone = Site(self._world, "b", self._site)
            self._world.invariants.watch(clone, self._site)
            self._world.sites.append(clone)
            clone.boot("1")
