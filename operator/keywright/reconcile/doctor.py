"""What `keywright doctor` does: look at everything at once, with the caller's own rights, and change nothing.

Decides nothing: planning/diagnosis says what it means. Each look has a deadline of its own, and one that fails is a finding like
any other: what can be told is told.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

from keywright.api.apikey import called
from keywright.api.reading import read_issuer_spec
from keywright.errors import KeywrightError, Terminal, Unauthorized, Unavailable
from keywright.planning.diagnosis import clocks, fleet, kinds, reaching, rights, running
from keywright.planning.diagnosis.clocks import Reading
from keywright.planning.diagnosis.finding import Check, Finding, State, halves, note, ok, ordered, wrong
from keywright.planning.diagnosis.reaching import Look, Waiting
from keywright.planning.diagnosis.running import Operators
from keywright.planning.leases import SYSTEM, Lease
from keywright.planning.standing import Seen
from keywright.planning.used import ref_seen
from keywright.reconcile.credentials import read_credentials
from keywright.reconcile.stores import read_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from keywright.api.keyissuer import KeyIssuerSpec
    from keywright.keys import SecretValue
    from keywright.planning.diagnosis.rights import Right
    from keywright.planning.used import Ref
    from keywright.ports.cluster import Cluster, Object
    from keywright.ports.inspection import Inspection
    from keywright.ports.issuer import IssuerFactory
    from keywright.ports.stores import Store

__all__ = ["Doctor", "Examined"]

T = TypeVar("T")

_DEADLINE: Final = 20.0
"""Seconds for one look: an issuer's request may take 10, and two are asked."""
_AT_ONCE: Final = 20
"""Issuers, and Vaults, that are asked at once."""
_HALF: Final = timedelta(seconds=0.5)
"""A Date header has whole seconds: on average it is half a second old."""
_NAMED: Final = 3
"""What a line names of all that is waited for."""
_ISSUERS: Final = ("KeyIssuer", "ClusterKeyIssuer")
_STORES: Final = ("VaultStore", "ClusterVaultStore")


class Examined(NamedTuple):
    """What was found, the worst first. `namespace` None: in all of them."""

    findings: list[Finding]
    namespace: str | None


class _Found(NamedTuple):
    """What there is; a kind that may not be listed is absent, and told of."""

    objects: Mapping[str, Sequence[Object]]
    api_keys: Sequence[Seen]
    operators: Operators

    def of(self, *of_kinds: str) -> list[Object]:
        return [obj for kind in of_kinds for obj in self.objects.get(kind, ())]


class _Here(NamedTuple):
    """An issuer as it was looked at."""

    look: Look
    clock: Reading | None


class Doctor:
    """One look at a cluster."""

    def __init__(
        self,
        *,
        inspection: Inspection,
        cluster: Cluster,
        factory: IssuerFactory,
        vault_health: Callable[[Store], Awaitable[None]],
        manifests: Mapping[str, Sequence[Mapping[str, Any]]],
        clock: Callable[[], datetime],
        told: Callable[[str], None],
    ) -> None:
        """`manifests`: the documents of rbac.yaml by folder, `manifests` and `manifests/namespaced`; `told` hears what is waited for."""
        self._inspection = inspection
        self._cluster = cluster
        self._factory = factory
        self._vault_health = vault_health
        self._manifests = manifests
        self._clock = clock
        self._told = told
        self._waited_for: list[str] = []

    async def examine(self, namespace: str | None, own: str) -> Examined:
        """`namespace`: the only one to be looked at; None: all, or the caller's `own` where they may not."""
        try:
            version = await self._in_time("the apiserver", self._inspection.hello())
        except KeywrightError as error:
            return Examined([_unheard(error)], namespace)
        if namespace is None and not await self._sees_all():
            namespace = own
        looks = await asyncio.gather(self._objects(namespace), self._kinds(), self._caller(namespace), self._time())
        (seen, blind), of_kinds, of_caller, (now, apiserver) = looks
        issuers, stores, of_rights, ending = await asyncio.gather(
            self._all(seen.of(*_ISSUERS), self._issuer),
            self._all(seen.of(*_STORES), self._store),
            self._operator(seen),
            self._ending(fleet.hanging(seen.api_keys, now)),
        )
        findings = [ok(Check.APISERVER, f"the apiserver {version} answers"), *blind, *of_kinds, *of_caller, *of_rights]
        findings += self._told_of(seen, issuers, stores, ending, now)
        ahead = [
            Reading(whose, by + apiserver.ahead) for whose, by in running.operators_ahead(seen.operators) if apiserver
        ]
        platforms = {here.clock.whose: here.clock for _, here in issuers if here.clock}
        findings += clocks.of_clocks([*([apiserver] if apiserver else []), *platforms.values(), *ahead])
        return Examined(ordered(findings), namespace)

    def _told_of(
        self,
        seen: _Found,
        issuers: Sequence[tuple[Object, _Here]],
        stores: Sequence[tuple[Object, Look]],
        ending: frozenset[str],
        now: datetime,
    ) -> list[Finding]:
        """What the objects tell, and the looks at what they name."""
        findings: list[Finding] = []
        api_keys = seen.api_keys
        waiting = reaching.waiting_for(api_keys)
        broken: list[Ref] = []
        for found, here in issuers:
            told = reaching.of_issuer(found, here.look, waiting.get(ref_seen(found), Waiting()), now)
            findings += told
            broken += [ref_seen(found)] if any(f.state is State.WRONG for f in told) else []
        for found, look in stores:
            of_store = reaching.of_store(found, look, waiting.get(ref_seen(found), Waiting()), now)
            findings += of_store
            broken += [ref_seen(found)] if any(f.state is State.WRONG for f in of_store) else []
        if "ApiKey" in seen.objects:
            findings += running.of_operators(seen.operators, api_keys, now)
            served = running.is_served(seen.operators, running.unanswered(api_keys, now), now)
            findings += fleet.of_deletions(fleet.hanging(api_keys, now), ending, served=served, now=now)
            findings += fleet.of_api_keys(api_keys, broken, now)
        return findings

    # One look each.

    async def _sees_all(self) -> bool:
        try:
            return await self._inspection.may(rights.caller_needs(None)[1])
        except KeywrightError:
            return False

    async def _time(self) -> tuple[datetime, Reading | None]:
        """The apiserver's time, and how far it is ahead; this machine's where it does not say."""
        apiserver = await self._reading("the apiserver", self._inspection.date())
        return self._clock().astimezone(UTC) + (apiserver.ahead if apiserver else timedelta(0)), apiserver

    async def _reading(self, whose: str, asked: Awaitable[datetime | None]) -> Reading | None:
        begun = self._clock()
        at = await asked
        if at is None:
            return None
        return Reading(whose, at + _HALF - (begun + (self._clock() - begun) / 2))

    async def _objects(self, namespace: str | None) -> tuple[_Found, list[Finding]]:
        told: list[Finding] = []
        wanted = ("ApiKey", *_ISSUERS, *_STORES)
        listed, deployments, leases = await asyncio.gather(
            asyncio.gather(*(self._those(kind, namespace, told) for kind in wanted)),
            self._running("Deployment", namespace),
            self._running("Lease", namespace),
        )
        hidden = [f"{k}s" for k, seen in zip(wanted, listed, strict=True) if seen is None and k.startswith("Cluster")]
        if hidden:
            text = f"you may not list {' and '.join(hidden)}: they are not looked at"
            told.append(
                note(Check.RIGHTS, text, "ask for the ClusterRole keywright-cluster-issuers (manifests/users.yaml)")
            )
        objects = {kind: found for kind, found in zip(wanted, listed, strict=True) if found is not None}
        if leases is None:
            text = "you may not see whether an operator leads"
            told.append(note(Check.OPERATOR, text, "ask for list on leases.coordination.k8s.io in keywright-system"))
        api_keys = [Seen.of(found) for found in objects.get("ApiKey", ())]
        operators = Operators(deployments, None if leases is None else [Lease.of(lease) for lease in leases])
        return _Found(objects, api_keys, operators), told

    async def _those(self, kind: str, namespace: str | None, told: list[Finding]) -> Sequence[Object] | None:
        try:
            return await self._in_time(f"{kind}s", self._inspection.objects(kind, namespace))
        except Unauthorized:
            pass  # told of together, or by the review of the caller's rights
        except KeywrightError as error:
            told.append(_failed(Check.APISERVER, error))
        return None

    async def _running(self, kind: str, namespace: str | None) -> Sequence[Object] | None:
        """Of the whole cluster where that is allowed, else where operators of this namespace lie; None: it is not."""
        found: dict[str, Object] = {}
        denied = False
        for place in (None, SYSTEM, namespace):
            try:
                for one in await self._in_time(f"{kind}s", self._inspection.operators(place, kind)):
                    found[one["metadata"]["uid"]] = one
            except KeywrightError:
                denied = True
            else:
                if place is None:
                    break
        mine = [
            one for one in found.values() if namespace is None or one["metadata"]["namespace"] in (SYSTEM, namespace)
        ]
        return mine if mine or not denied else None

    async def _kinds(self) -> list[Finding]:
        try:
            found = await self._in_time("CRDs", _gathered(kinds.CRDS, self._inspection.crd))
            return kinds.of_kinds(found)
        except Unauthorized:
            pass
        except KeywrightError as error:
            return [_failed(Check.KINDS, error)]
        try:
            return kinds.of_served(await self._in_time("CRDs", self._inspection.served()))
        except KeywrightError as error:
            return [_failed(Check.KINDS, error)]

    async def _caller(self, namespace: str | None) -> list[Finding]:
        wanted = rights.caller_needs(namespace)
        try:
            return rights.of_caller(
                await self._in_time("your rights", _gathered(wanted, self._inspection.may)), namespace
            )
        except KeywrightError as error:
            return [_failed(Check.RIGHTS, error)]

    async def _operator(self, seen: _Found) -> list[Finding]:
        """The rights of each operator that is seen, and those that namespaces give besides."""
        found: list[Finding] = []
        api_keys = seen.of("ApiKey")
        for account in running.accounts(seen.operators):
            folder = "manifests" if account.everywhere else "manifests/namespaced"
            wanted = rights.shipped_rights(self._manifests[folder], account.namespace, everywhere=account.everywhere)
            reach = [o for o in api_keys if account.everywhere or o["metadata"]["namespace"] == account.namespace]
            extras = [*rights.logins(seen.of(*_STORES), reach), *rights.restarts(reach)]

            async def may(right: Right, user: str = account.user) -> bool:
                return await self._inspection.may(right, user)

            try:
                answers = await self._in_time("the operator's rights", _gathered([*wanted, *extras], may))
            except Unauthorized:
                found.append(
                    note(Check.RIGHTS, "you may not ask what others may do: the operator's rights are not looked at")
                )
                break
            except KeywrightError as error:
                found.append(_failed(Check.RIGHTS, error))
                break
            found += rights.of_operator({right: answers[right] for right in wanted}, account)
            found += rights.of_extras({right: answers[right] for right in extras})
        return found

    async def _issuer(self, found: Object) -> _Here:
        kind, namespace, name = ref_seen(found)
        short = called(kind, name)
        bundle: SecretValue | None = None
        try:
            spec = read_issuer_spec(found)
            reading = read_credentials(self._cluster, spec, short, namespace or "")
            admin_key, bundle = await self._in_time(f"the admin key of {short}", reading)
        except Unauthorized as error:
            denied = Look(error, asked=False)
            mistral = spec.mistral
            if mistral is None or mistral.ca_bundle_secret_ref or mistral.ca_bundle_config_map_ref:
                return _Here(denied, None)
            return _Here(denied, await self._platform(mistral.url, None))
        except KeywrightError as error:
            return _Here(Look(error), None)
        assert spec.mistral is not None  # read_credentials refuses it
        clock = await self._platform(spec.mistral.url, bundle)
        return _Here(await self._look(short, spec, admin_key, bundle), clock)

    async def _platform(self, url: str, bundle: SecretValue | None) -> Reading | None:
        """By its host: a hundred issuers of one platform have one clock."""
        return await self._reading(urlsplit(url).netloc, self._inspection.date_at(url, bundle))

    async def _look(self, short: str, spec: KeyIssuerSpec, admin_key: SecretValue, bundle: SecretValue | None) -> Look:
        """Whether the platform takes the admin key, and knows the user."""
        assert spec.mistral is not None
        try:
            client = self._factory(short, spec, admin_key, bundle)
        except Terminal as error:
            return Look(error)
        try:
            workspaces = await self._in_time(short, client.workspaces())
            await self._in_time(short, client.user_id(spec.mistral.user))
        except KeywrightError as error:
            return Look(error)
        finally:
            await client.close()
        return Look(workspaces=len(workspaces))

    async def _store(self, found: Object) -> Look:
        try:
            store = read_store(found)
            await self._in_time(store.called, self._vault_health(store))
        except KeywrightError as error:
            return Look(error)
        return Look()

    async def _ending(self, held: Sequence[Seen]) -> frozenset[str]:
        spaces = sorted({seen.namespace for seen in held})
        try:
            answers = await self._in_time("namespaces", _gathered(spaces, self._inspection.is_ending))
        except KeywrightError:
            return frozenset()
        return frozenset(space for space, ending in answers.items() if ending)

    async def _all(
        self, objects: Sequence[Object], look: Callable[[Object], Coroutine[Any, Any, T]]
    ) -> list[tuple[Object, T]]:
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(found: Object) -> T:
            async with slots:
                return await look(found)

        return list(zip(objects, await asyncio.gather(*map(one, objects)), strict=True))

    async def _in_time(self, what: str, work: Awaitable[T]) -> T:
        """Raises Unavailable where it takes too long."""
        self._waited_for.append(what)
        self._say()
        try:
            async with asyncio.timeout(_DEADLINE):
                return await work
        except TimeoutError:
            raise Unavailable(f"{what} did not answer within {_DEADLINE:g} s") from None
        finally:
            self._waited_for.remove(what)
            self._say()

    def _say(self) -> None:
        if waited_for := list(dict.fromkeys(self._waited_for)):
            more = f" and {len(waited_for) - _NAMED} more" if len(waited_for) > _NAMED else ""
            self._told(f"waiting for {', '.join(waited_for[:_NAMED])}{more}")


async def _gathered(of: Iterable[T], ask: Callable[[T], Coroutine[Any, Any, Any]]) -> dict[T, Any]:
    """All at once; raises what the first raises that fails."""
    asked = list(dict.fromkeys(of))
    return dict(zip(asked, await asyncio.gather(*map(ask, asked)), strict=True))


def _unheard(error: KeywrightError) -> Finding:
    what, remedy = halves(str(error))
    if isinstance(error, Unauthorized):
        return wrong(
            Check.APISERVER,
            "the apiserver does not take your credentials (401)",
            "log in again, or give another --kubeconfig or --context",
        )
    return wrong(
        Check.APISERVER, what, remedy or "see that the cluster runs, and that --kubeconfig and --context name it"
    )


def _failed(check: Check, error: KeywrightError) -> Finding:
    what, remedy = halves(str(error))
    return wrong(check, what, remedy or "run keywright doctor again; if it stays, look at the apiserver")
