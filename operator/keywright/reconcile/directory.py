"""Issuers as they can be used: one client each, with its admin key, its workspaces and its users, read by all in common.

Reads are shared and short-lived: a thousand ApiKeys that wait for the same thing cost one request. What fails is remembered for
seconds only, so that mending it shows. A client that was made once stays for what is to end: where its admin key's Secret has gone,
or its issuer, it still lists and revokes, and makes nothing.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from keywright.api.apikey import KeyIssuerIdentity, called
from keywright.api.reading import read_issuer_spec
from keywright.api.reasons import Reason
from keywright.errors import (
    Ambiguous,
    KeywrightError,
    RateLimited,
    Rejected,
    Retryable,
    Terminal,
    Unauthorized,
    Unavailable,
)
from keywright.planning.grants import granted_workspaces, needs_namespace_labels
from keywright.planning.observed import IssuerFacts, Refusal
from keywright.reconcile.credentials import Missing, read_credentials
from keywright.reconcile.departed import Departed
from keywright.reconcile.entry import Entry, makes_client
from keywright.reconcile.holding import Holding, Ref, is_deleting
from keywright.reconcile.looks import Looks
from keywright.reconcile.workspaces import matching, the_one

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from keywright.api.apikey import ApiKeySpec, IssuerRef
    from keywright.api.apikey_status import ApiKeyStatus
    from keywright.api.keyissuer import KeyIssuerSpec
    from keywright.keys import ListedKey, ResourceKey, Workspace
    from keywright.ports.cluster import Cluster, Object
    from keywright.ports.issuer import Issuer, IssuerFactory, Pace

__all__ = ["IssuerDirectory", "Ref", "ref_of", "refusal_of"]

T = TypeVar("T")

_CREDENTIALS_FRESH: Final = 15.0
"""Seconds for which an admin key that was read is used without asking again."""
_FAILURE_FRESH: Final = 5.0
"""Seconds for which a failure is shared."""
_WORKSPACES_FRESH: Final = 60.0
"""Seconds for which the workspaces are believed; one that is not among them is looked for again sooner."""
_USER_FRESH: Final = 300.0
"""Seconds for which an e-mail address stands for the same member."""


def ref_of(named: IssuerRef | KeyIssuerIdentity, namespace: str | None) -> Ref:
    """Where an issuer lies that an ApiKey of this namespace names."""
    return named.kind, None if named.kind == "ClusterKeyIssuer" else namespace, named.name


def refusal_of(error: KeywrightError) -> Refusal:
    """What an issuer's error means to an ApiKey that waits for it."""
    if isinstance(error, Terminal):
        return Refusal(Reason.of(error.reason, Reason.ISSUER_UNAVAILABLE), str(error))
    if isinstance(error, RateLimited):
        return Refusal(Reason.ISSUER_RATE_LIMITED, str(error), stalled=False, after=error.after)
    after = error.after if isinstance(error, Retryable) else None
    return Refusal(Reason.ISSUER_UNAVAILABLE, str(error), stalled=False, after=after)


class IssuerDirectory:
    """All issuers in use."""

    def __init__(
        self,
        cluster: Cluster,
        factory: IssuerFactory,
        *,
        cluster_scope: bool,
        monotonic: Callable[[], float],
        troubled: Callable[[Ref], None],
    ) -> None:
        """`cluster_scope` False: the operator runs for single namespaces and serves no cluster kinds.

        `troubled` hears of each issuer that an ApiKey could not use, so that the issuer's own status tells it too.
        """
        self._troubled = troubled
        self._cluster = cluster
        self._factory = factory
        self._cluster_scope = cluster_scope
        self._monotonic = monotonic
        self.holding = Holding(cluster)
        self._entries: dict[Ref, Entry] = {}
        self._locks: defaultdict[Ref, asyncio.Lock] = defaultdict(asyncio.Lock)
        """For what the apiserver is asked alone: whoever ends a key does not wait for a platform that somebody else looks at."""
        self._looks: Looks[Ref] = Looks()
        self._departed = Departed()

    async def facts(
        self, key: ResourceKey, spec: ApiKeySpec, status: ApiKeyStatus, *, making: bool = True
    ) -> IssuerFacts | Refusal:
        """The issuer with this ApiKey's eyes, or why it cannot be used now. Raises NotYet where a first answer takes its time.

        `making`: a key is wanted of it, which one that is being deleted refuses; what it grants is read all the same.
        """
        ref = ref_of(spec.issuer_ref, key.namespace)
        try:
            self._found(ref, key.namespace, making=making)
            known = self._entries.get(ref)
            async with self._looks.at(ref, _say(ref), known.unanswered if known else None):
                async with self._locks[ref]:
                    found = self._found(
                        ref, key.namespace, making=making
                    )  # it may have changed while others were served
                    entry, identity = self._entry(ref, found), _identity(ref, found)
                    client = await self._client(entry, ref, key.namespace)
                client.quiet()  # before an attempt is written down that would be refused
                user_id = await self._user(entry, client)
                await self._load_workspaces(entry, client, spec, status)
                entry.unanswered = None
            labels = await self._cluster.namespace_labels(key.namespace) if needs_namespace_labels(entry.spec) else None
            workspace = self._workspace(entry, ref, key=key, spec=spec, status=status, labels=labels or {})
        except (Terminal, Retryable, Ambiguous) as error:
            if isinstance(error, Retryable | Ambiguous | Unauthorized):
                self._troubled(ref)
            return refusal_of(error)
        return IssuerFacts(
            identity=identity,
            spec=entry.spec,
            workspace=workspace,
            user_id=user_id,
            namespace_labels=labels,
            held=self.holding.is_held(ref, found),
            keys_in_namespace=self._rank(entry, identity, ref, key),
        )

    def _rank(self, entry: Entry, identity: KeyIssuerIdentity, ref: Ref, key: ResourceKey) -> int:
        """The how many-th of its namespace's ApiKeys at this issuer it is, by age: a new one does not stop the others' renewals."""
        count = self._cluster.count_users(identity, ref[1], key.namespace)
        if count <= min((g.max_keys for g in entry.spec.grants or () if g.max_keys), default=count):
            return count  # no grant minds, so nobody needs to be ranked
        users = {key, *(user for user in self._cluster.users_of(identity, ref[1]) if user.namespace == key.namespace)}
        seen = {user: self._cluster.api_key(user) for user in users}
        age = {user: (obj["metadata"]["creationTimestamp"] if obj else "", user) for user, obj in seen.items()}
        return sum(1 for one in age.values() if one <= age[key])

    async def client(
        self, identity: KeyIssuerIdentity, namespace: str | None, *, ending: bool = False, known: bool = False
    ) -> Issuer:
        """The client of this very issuer; `namespace`: where a KeyIssuer of that name lives.

        `ending`: to find and revoke what it made, by what is in memory where its admin key is gone; else to make a key. `known`: the
        issuer of that name lists the key that it is about, so that it is the same platform, re-created or not. Raises Terminal where
        the issuer cannot be used until somebody mends it, Retryable where it does not answer.
        """
        return await self._use(identity, namespace, making=not ending, ending=ending, known=known)

    async def _use(
        self, identity: KeyIssuerIdentity, namespace: str | None, *, making: bool, ending: bool, known: bool = False
    ) -> Issuer:
        ref = ref_of(identity, namespace)
        try:
            self._found(ref, namespace, making=making)
            async with self._locks[ref]:
                found = self._found(ref, namespace, making=making)
                ending = ending or is_deleting(found)
                if not known:
                    _require_maker(ref, found, identity)
                return await self._client(self._entry(ref, found), ref, namespace)
        except Missing as error:
            if not ending:
                raise
            # A namespace on its way out may lose the Secret before anything else: what was read from it still ends keys.
            entry = self._entries.get(ref)
            same = entry is not None and (known or entry.uid == identity.uid)
            kept = entry.client if entry is not None and same else self._departed.of(identity.uid)
            if kept is not None:
                return kept
            raise Rejected(str(error), reason=Reason.ISSUER_CREDENTIALS_GONE) from None

    async def listing(
        self,
        identity: KeyIssuerIdentity,
        namespace: str | None,
        name: str,
        *,
        ending: bool = False,
        pace: Pace | None = None,
    ) -> tuple[ListedKey, ...] | Refusal:
        """Live keys whose name contains `name`, listed now.

        `ending`: as for `client`; else an admin key that is gone is a refusal, unless the issuer itself is on its way out.
        """
        try:
            client = await self._use(identity, namespace, making=False, ending=ending)
            return tuple(await client.list_keys(name, pace=pace))
        except (Terminal, Retryable, Ambiguous) as error:
            self.failed(identity, namespace, error)
            return refusal_of(error)

    def failed(self, identity: KeyIssuerIdentity, namespace: str | None, error: KeywrightError) -> None:
        """A call failed elsewhere: a refused admin key is read again at the next use."""
        if isinstance(error, Unauthorized) and (entry := self._entries.get(ref_of(identity, namespace))):
            entry.credentials_at = float("-inf")
            entry.workspaces_at = float("-inf")
            entry.user_at = float("-inf")

    def forget(self, ref: Ref) -> None:
        """The issuer object is gone."""
        self._depart(ref)
        self._locks.pop(ref, None)
        self._looks.forget(ref)

    def _depart(self, ref: Ref) -> None:
        """Another issuer of that name, or none: what was made by this one may have to be revoked yet."""
        entry = self._entries.pop(ref, None)
        if entry is None or entry.client is None:
            return
        if any(True for _ in self._cluster.dependents(*ref)):
            self._departed.keep(entry.uid, entry.client)
        else:
            self._departed.retire(entry.client)

    async def remember(self, ref: Ref) -> None:
        """Read an issuer's admin key, so that it is in memory should the Secret go first. Asks the platform nothing.

        What fails is told by whoever needs the key; where somebody is about to read it, this does not wait.
        """
        with suppress(Terminal, Retryable, Ambiguous):
            self._found(ref, ref[1], making=False)
            if not self._locks[ref].locked():
                async with self._locks[ref]:
                    await self._client(self._entry(ref, self._found(ref, ref[1], making=False)), ref, ref[1])

    async def close(self) -> None:
        """Give all connections back."""
        for entry in self._entries.values():
            if entry.client is not None:
                self._departed.retire(entry.client)
        self._entries.clear()
        await self._departed.close()

    def _found(self, ref: Ref, namespace: str | None, *, making: bool) -> Object:
        """The issuer as it stands. `making`: a key is wanted of it."""
        kind = ref[0]
        if kind == "ClusterKeyIssuer" and not self._cluster_scope:
            raise Rejected(
                f"{_say(ref)} is not served: this operator runs for single namespaces (--namespace); write issuerRef.kind: KeyIssuer",
                reason=Reason.CLUSTER_SCOPE_OFF,
            )
        found = self._cluster.issuer(*ref)
        if found is None:
            where = f" in namespace {namespace}" if kind == "KeyIssuer" else ""
            mend = (
                "create it, or correct spec.issuerRef"
                if making
                else "create it again, with an admin key of the same organization"
            )
            raise Missing(f"{_say(ref)} does not exist{where}; {mend}", reason=Reason.ISSUER_NOT_FOUND)
        if making and is_deleting(found):
            raise Rejected(
                f"{_say(ref)} is being deleted and makes no keys; write another issuer into spec.issuerRef",
                reason=Reason.ISSUER_DELETING,
            )
        return found

    def _entry(self, ref: Ref, found: Object) -> Entry:
        """What is known of the issuer, as it stands; only for whoever has its lock."""
        uid, generation = found["metadata"]["uid"], found["metadata"]["generation"]
        entry = self._entries.get(ref)
        if entry is None or entry.uid != uid:
            fresh = Entry(uid, generation, _spec_of(ref, found))
            self._depart(ref)
            entry = self._entries[ref] = fresh
        elif entry.generation != generation:
            entry.edited(generation, _spec_of(ref, found))
        return entry

    async def _client(self, entry: Entry, ref: Ref, namespace: str | None) -> Issuer:
        now = self._monotonic()
        if entry.client is not None and now - entry.credentials_at < _CREDENTIALS_FRESH:
            return entry.client
        if entry.failure is not None and now - entry.failed_at < _FAILURE_FRESH:
            raise entry.failure.with_traceback(None)
        return await self._renewed(entry, ref, namespace or "")

    async def _renewed(self, entry: Entry, ref: Ref, namespace: str) -> Issuer:
        """The client with the admin key as it is in its Secret now; only where something differs it is another one than before."""
        now = self._monotonic()
        try:
            credentials, made_for = (
                await read_credentials(self._cluster, entry.spec, _say(ref), namespace),
                makes_client(entry.spec),
            )
            client = entry.client
            if client is None or (credentials, made_for) != (entry.credentials, entry.made_for):
                admin_key, bundle = credentials
                client = self._factory(_say(ref), entry.spec, admin_key, bundle)
                if entry.client is not None:
                    self._departed.retire(entry.client)
                entry.client, entry.credentials, entry.made_for = client, credentials, made_for
                entry.workspaces_at = entry.user_at = float("-inf")
        except (Terminal, Retryable, Ambiguous) as error:
            entry.failure, entry.failed_at = error, now
            raise
        entry.credentials_at, entry.failure = now, None
        return client

    async def _user(self, entry: Entry, client: Issuer) -> str:
        now = self._monotonic()
        if entry.user_id is None or now - entry.user_at > _USER_FRESH:
            user = entry.spec.mistral.user if entry.spec.mistral else ""
            entry.user_id = await self._shared(entry, client, client.user_id(user))
            entry.user_at = now
        return entry.user_id

    async def _load_workspaces(self, entry: Entry, client: Issuer, spec: ApiKeySpec, status: ApiKeyStatus) -> None:
        age = self._monotonic() - entry.workspaces_at
        if age > _WORKSPACES_FRESH or (
            age > _FAILURE_FRESH and len(matching(entry.workspaces, entry.uid, spec, status)) != 1
        ):
            entry.workspaces = await self._shared(entry, client, client.workspaces())
            entry.workspaces_at = self._monotonic()

    async def _shared(self, entry: Entry, client: Issuer, call: Awaitable[T]) -> T:
        """One call on behalf of all who wait; its failure is shared for seconds."""
        try:
            found = await call
        except (Terminal, Retryable, Ambiguous) as error:
            entry.failure = entry.unanswered = error
            entry.failed_at, entry.credentials_at = self._monotonic(), float("-inf")
            raise
        if entry.client is not client:
            raise Unavailable(
                "the issuer was changed while it was asked; it is asked again"
            )  # it may be another organization's answer
        return found

    def _workspace(
        self,
        entry: Entry,
        ref: Ref,
        *,
        key: ResourceKey,
        spec: ApiKeySpec,
        status: ApiKeyStatus,
        labels: Mapping[str, str],
    ) -> Workspace:
        visible = entry.workspaces
        if ref[0] == "ClusterKeyIssuer":
            visible = granted_workspaces(entry.spec, key.namespace, labels, visible)
        return the_one(matching(entry.workspaces, entry.uid, spec, status), visible, _say(ref), spec.workspace)


def _require_maker(ref: Ref, found: Object, identity: KeyIssuerIdentity) -> None:
    if found["metadata"]["uid"] != identity.uid:
        # A key id unknown to another platform answers 404, which would count as revoked.
        raise Missing(
            f"{_say(ref)} was deleted and created again since, and lists no such key: is it of another organization, "
            "or was the key revoked there",
            reason=Reason.ISSUER_CREDENTIALS_GONE,
        )


def _spec_of(ref: Ref, found: Object) -> KeyIssuerSpec:
    try:
        return read_issuer_spec(found)
    except Rejected as error:
        # An ApiKey says this too, and has a spec of its own.
        raise Rejected(f"{_say(ref)}: {error}", reason=Reason.ISSUER_INVALID) from None


def _identity(ref: Ref, found: Object) -> KeyIssuerIdentity:
    return KeyIssuerIdentity.model_validate({"kind": ref[0], "name": ref[2], "uid": found["metadata"]["uid"]})


def _say(ref: Ref) -> str:
    return called(ref[0], ref[2])
