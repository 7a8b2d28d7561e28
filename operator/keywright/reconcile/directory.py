"""Issuers as they can be used: one client each, with its admin key, its workspaces and its users, read by all in common.

Reads are shared and short-lived: a thousand ApiKeys that wait for the same thing cost one request. What fails is remembered for
seconds only, so that mending it shows.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from keywright.api.apikey import KeyIssuerIdentity, called
from keywright.api.reading import read_issuer_spec
from keywright.api.reasons import Reason
from keywright.errors import Ambiguous, KeywrightError, RateLimited, Rejected, Retryable, Terminal, Unauthorized
from keywright.planning.grants import granted_workspaces, needs_namespace_labels
from keywright.planning.observed import IssuerFacts, Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from keywright.api.apikey import ApiKeySpec, IssuerRef
    from keywright.api.apikey_status import ApiKeyStatus
    from keywright.api.keyissuer import KeyIssuerSpec
    from keywright.keys import ListedKey, ResourceKey, SecretValue, Workspace
    from keywright.ports.cluster import Cluster, Object
    from keywright.ports.issuer import Issuer, IssuerFactory, Pace

__all__ = ["IssuerDirectory", "ref_of", "refusal_of"]

T = TypeVar("T")

_CREDENTIALS_FRESH: Final = 15.0
"""Seconds for which an admin key that was read is used without asking again."""
_FAILURE_FRESH: Final = 5.0
"""Seconds for which a failure is shared."""
_RETIRED_KEPT: Final = 120.0
"""Seconds that a replaced client has to finish its calls: more than any request's deadline."""
_WORKSPACES_FRESH: Final = 60.0
"""Seconds for which the workspaces are believed; one that is not among them is looked for again sooner."""
_USER_FRESH: Final = 300.0
"""Seconds for which an e-mail address stands for the same member."""
_CANDIDATES_SHOWN: Final = 10
"""Workspaces that a message lists: it is read in a terminal."""

Ref = tuple[str, str | None, str]
"""Kind, namespace (None for cluster-scoped ones), name."""


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


@dataclass(slots=True)
class _Entry:
    """What is known of one issuer object."""

    uid: str
    generation: int
    spec: KeyIssuerSpec
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    client: Issuer | None = None
    credentials: tuple[SecretValue, SecretValue | None] | None = None
    credentials_at: float = float("-inf")
    failure: KeywrightError | None = None
    failed_at: float = float("-inf")
    workspaces: Sequence[Workspace] = ()
    workspaces_at: float = float("-inf")
    user_id: str | None = None
    user_at: float = float("-inf")


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
        self._entries: dict[Ref, _Entry] = {}
        self._retired: list[tuple[asyncio.TimerHandle, Issuer]] = []
        self._closing: set[asyncio.Task[None]] = set()

    async def facts(self, key: ResourceKey, spec: ApiKeySpec, status: ApiKeyStatus) -> IssuerFacts | Refusal:
        """The issuer with this ApiKey's eyes, or why it cannot be used now."""
        ref = ref_of(spec.issuer_ref, key.namespace)
        try:
            entry, identity = self._entry(ref, key.namespace)
            async with entry.lock:
                entry, identity = self._entry(ref, key.namespace)  # it may have changed while others were served
                client = await self._client(entry, ref, key.namespace)
                client.quiet()  # before an attempt is written down that would be refused
                user_id = await self._user(entry, client)
                await self._load_workspaces(entry, client, spec, status)
            labels = await self._cluster.namespace_labels(key.namespace) if needs_namespace_labels(entry.spec) else None
            workspace = self._workspace(
                entry, ref, spec=spec, status=status, namespace=key.namespace, labels=labels or {}
            )
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
            keys_in_namespace=self._rank(entry, identity, ref, key),
        )

    def _rank(self, entry: _Entry, identity: KeyIssuerIdentity, ref: Ref, key: ResourceKey) -> int:
        """The how many-th of its namespace's ApiKeys at this issuer it is, by age: a new one does not stop the others' renewals."""
        count = self._cluster.count_users(identity, ref[1], key.namespace)
        if count <= min((g.max_keys for g in entry.spec.grants or () if g.max_keys), default=count):
            return count  # no grant minds, so nobody needs to be ranked
        users = {key, *(user for user in self._cluster.users_of(identity, ref[1]) if user.namespace == key.namespace)}
        seen = {user: self._cluster.api_key(user) for user in users}
        age = {user: (obj["metadata"]["creationTimestamp"] if obj else "", user) for user, obj in seen.items()}
        return sum(1 for one in age.values() if one <= age[key])

    async def client(self, identity: KeyIssuerIdentity, namespace: str | None, *, known: bool = False) -> Issuer:
        """The client for keys that this very issuer made; `namespace`: where a KeyIssuer of that name lives.

        `known`: the issuer of that name lists the key that it is about, so that it is the same platform, re-created or not.
        Raises Terminal where the issuer cannot be used until somebody mends it, Retryable where it does not answer.
        """
        ref = ref_of(identity, namespace)
        async with self._entry(ref, namespace)[0].lock:
            entry = self._entry(ref, namespace)[0] if known else self._made_by(ref, namespace, identity)
            return await self._client(entry, ref, namespace)

    def _made_by(self, ref: Ref, namespace: str | None, identity: KeyIssuerIdentity) -> _Entry:
        entry, found = self._entry(ref, namespace)
        if found.uid != identity.uid:
            # A key id unknown to another platform answers 404, which would count as revoked.
            raise Rejected(
                f"{_say(ref)} was deleted and created again since, and lists no such key: is it of another organization, "
                "or was the key revoked there",
                reason=Reason.ISSUER_CREDENTIALS_GONE,
            )
        return entry

    async def listing(
        self, identity: KeyIssuerIdentity, namespace: str | None, name: str, *, pace: Pace | None = None
    ) -> tuple[ListedKey, ...] | Refusal:
        """Live keys whose name contains `name`, listed now."""
        try:
            client = await self.client(identity, namespace)
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
        """The issuer object is gone or has changed."""
        entry = self._entries.pop(ref, None)
        if entry:
            self._retire(entry.client)

    async def close(self) -> None:
        """Give all connections back."""
        for ref in list(self._entries):
            self.forget(ref)
        for timer, client in self._retired:
            timer.cancel()
            await client.close()
        self._retired.clear()
        await asyncio.gather(*self._closing)

    def _retire(self, client: Issuer | None) -> None:
        """Calls under way keep their connections for a while: a POST that is cut off costs a key."""
        if client is None:
            return
        loop = asyncio.get_running_loop()

        def close() -> None:
            self._retired[:] = [(t, c) for t, c in self._retired if c is not client]
            task = loop.create_task(client.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

        self._retired.append((loop.call_later(_RETIRED_KEPT, close), client))

    def _entry(self, ref: Ref, namespace: str | None) -> tuple[_Entry, KeyIssuerIdentity]:
        kind, _, name = ref
        if kind == "ClusterKeyIssuer" and not self._cluster_scope:
            raise Rejected(
                f"{_say(ref)} is not served: this operator runs for single namespaces (--namespace); write issuerRef.kind: KeyIssuer",
                reason=Reason.CLUSTER_SCOPE_OFF,
            )
        found: Object | None = self._cluster.issuer(*ref)
        if found is None:
            where = f" in namespace {namespace}" if kind == "KeyIssuer" else ""
            raise Rejected(
                f"{_say(ref)} does not exist{where}; create it, or correct spec.issuerRef",
                reason=Reason.ISSUER_NOT_FOUND,
            )
        meta = found["metadata"]
        entry = self._entries.get(ref)
        if entry is None or (entry.uid, entry.generation) != (meta["uid"], meta["generation"]):
            fresh = _Entry(meta["uid"], meta["generation"], _spec_of(ref, found))
            if entry is not None:
                fresh.lock = entry.lock
                self._retire(entry.client)
            entry = self._entries[ref] = fresh
        return entry, KeyIssuerIdentity.model_validate({"kind": kind, "name": name, "uid": meta["uid"]})

    async def _client(self, entry: _Entry, ref: Ref, namespace: str | None) -> Issuer:
        now = self._monotonic()
        if entry.client is not None and now - entry.credentials_at < _CREDENTIALS_FRESH:
            return entry.client
        if entry.failure is not None and now - entry.failed_at < _FAILURE_FRESH:
            raise entry.failure.with_traceback(None)
        try:
            credentials = await self._credentials(entry.spec, ref, namespace or "")
            if entry.client is None or credentials != entry.credentials:
                before = entry.client
                admin_key, bundle = credentials
                entry.client = self._factory(_say(ref), entry.spec, admin_key, bundle)
                entry.credentials = credentials
                entry.workspaces_at = entry.user_at = float("-inf")
                self._retire(before)
        except (Terminal, Retryable, Ambiguous) as error:
            entry.failure, entry.failed_at = error, now
            raise
        entry.credentials_at, entry.failure = now, None
        return entry.client

    async def _credentials(
        self, spec: KeyIssuerSpec, ref: Ref, namespace: str
    ) -> tuple[SecretValue, SecretValue | None]:
        mistral = spec.mistral
        if mistral is None:
            raise Rejected(f"{_say(ref)} names no kind of issuer; write spec.mistral", reason=Reason.ISSUER_INVALID)
        admin = await self._cluster.read_value("Secret", namespace, mistral.admin_key_secret_ref)
        if admin is None:
            where = mistral.admin_key_secret_ref
            raise Rejected(
                f"{_say(ref)} has no admin key: Secret {where.namespace or namespace}/{where.name} with data key {where.key} "
                "does not exist; create it",
                reason=Reason.ADMIN_KEY_MISSING,
            )
        bundle = None
        source = mistral.ca_bundle_secret_ref or mistral.ca_bundle_config_map_ref
        if source is not None:
            kind: Literal["Secret", "ConfigMap"] = "Secret" if mistral.ca_bundle_secret_ref else "ConfigMap"
            bundle = await self._cluster.read_value(kind, namespace, source)
            if bundle is None:
                raise Rejected(
                    f"{_say(ref)} has no CA bundle: {kind} {source.namespace or namespace}/{source.name} with data key {source.key} "
                    "does not exist; create it",
                    reason=Reason.ISSUER_INVALID,
                )
        return admin, bundle

    async def _user(self, entry: _Entry, client: Issuer) -> str:
        now = self._monotonic()
        if entry.user_id is None or now - entry.user_at > _USER_FRESH:
            user = entry.spec.mistral.user if entry.spec.mistral else ""
            entry.user_id = await self._shared(entry, client.user_id(user))
            entry.user_at = now
        return entry.user_id

    async def _load_workspaces(self, entry: _Entry, client: Issuer, spec: ApiKeySpec, status: ApiKeyStatus) -> None:
        age = self._monotonic() - entry.workspaces_at
        if age > _WORKSPACES_FRESH or (age > _FAILURE_FRESH and len(_matching(entry, spec, status)) != 1):
            entry.workspaces = await self._shared(entry, client.workspaces())
            entry.workspaces_at = self._monotonic()

    async def _shared(self, entry: _Entry, call: Awaitable[T]) -> T:
        """One call on behalf of all who wait; its failure is shared for seconds."""
        try:
            return await call
        except (Terminal, Retryable, Ambiguous) as error:
            entry.failure, entry.failed_at = error, self._monotonic()
            entry.credentials_at = float("-inf")
            raise

    def _workspace(
        self,
        entry: _Entry,
        ref: Ref,
        *,
        spec: ApiKeySpec,
        status: ApiKeyStatus,
        namespace: str,
        labels: Mapping[str, str],
    ) -> Workspace:
        found = _matching(entry, spec, status)
        if len(found) == 1:
            return found[0]
        visible = entry.workspaces
        if ref[0] == "ClusterKeyIssuer":
            visible = granted_workspaces(entry.spec, namespace, labels, entry.workspaces)
        if len(found) > 1:
            ids = sorted(w.id for w in found if w in visible)
            choice = f"write the uuid of one in spec.workspace: {', '.join(ids)}" if ids else "ask its owner for a uuid"
            raise Rejected(
                f"{_say(ref)} has {len(found)} workspaces named {spec.workspace}; {choice}",
                reason=Reason.WORKSPACE_AMBIGUOUS,
            )
        names = sorted(w.name for w in visible)[:_CANDIDATES_SHOWN]
        choice = f"write one of: {', '.join(names)}" if names else "ask its owner which may be used"
        raise Rejected(f"{_say(ref)} has no workspace {spec.workspace}; {choice}", reason=Reason.WORKSPACE_NOT_FOUND)


def _spec_of(ref: Ref, found: Object) -> KeyIssuerSpec:
    try:
        return read_issuer_spec(found)
    except Rejected as error:
        # An ApiKey says this too, and has a spec of its own.
        raise Rejected(f"{_say(ref)}: {error}", reason=Reason.ISSUER_INVALID) from None


def _matching(entry: _Entry, spec: ApiKeySpec, status: ApiKeyStatus) -> list[Workspace]:
    """The workspaces meant: the pinned one while spec.workspace is unchanged, else by uuid, else by exact name.

    What another issuer has pinned counts where it is listed here: of another organization it says nothing.
    """
    pinned = (
        status.workspace.id
        if status.workspace and status.issued_as and status.issued_as.workspace == spec.workspace
        else None
    )
    by_id = [w for w in entry.workspaces if w.id.lower() == (pinned or spec.workspace).lower()]
    binding = pinned is not None and status.issuer is not None and status.issuer.uid == entry.uid
    return by_id if by_id or binding else [w for w in entry.workspaces if w.name == spec.workspace]


def _say(ref: Ref) -> str:
    return called(ref[0], ref[2])
