"""Mistral's Admin API as an Issuer.

Owns which request an operation is. How a request travels is httpclient.py's, what an answer looks like is
mistral_wire.py's, what an ending means mistral_errors.py's, which addresses are allowed address.py's. Facts are those
of the platform's OpenAPI document. Must not chain a caught exception: it may know a body.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote

from yarl import URL

from keywright.adapters.address import base_url, checked_path, trust
from keywright.adapters.httpclient import Answer, Call, Credential, HttpClient, Silence
from keywright.adapters.mistral_errors import Asked, create_failure, failure, malformed, unclear
from keywright.adapters.mistral_wire import (
    PAGE,
    CreatedKey,
    KeyPage,
    Member,
    PagesShiftError,
    UsageReport,
    UserPage,
    Wire,
    WorkspacePage,
    every_key,
    parse,
)
from keywright.api.durations import parse_duration
from keywright.api.reasons import Reason
from keywright.errors import Rejected, Retryable, Unauthorized, Unavailable
from keywright.keys import KeyId
from keywright.ports.issuer import AHEAD, IssuedKey, Issuer, IssuerFactory, ListedKey, Usage, Workspace
from keywright.ports.lease import Unshared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from keywright.adapters.mistral_wire import NextPage
    from keywright.api.keyissuer import KeyIssuerSpec
    from keywright.api.keyissuer import MistralIssuer as MistralSpec
    from keywright.keys import SecretValue
    from keywright.ports.issuer import KeyRequest, Pace
    from keywright.ports.lease import Lease

__all__ = ["MistralIssuer", "mistral_factory"]

_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_KEY_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")

_TRIES: Final = 3
"""Readings of the workspaces, where they change meanwhile."""

_PAGES: Final = 1000
"""Pages of workspaces; a list that goes on beyond is no list."""

_USER_PAGES: Final = 50
"""Pages of the users that one e-mail address finds: the filter leaves a handful, were it by substring."""

_ALONE: Final = Unshared()

_Shape = TypeVar("_Shape", bound=Wire)


class MistralIssuer(Issuer):
    """One organization at Mistral, reached with one admin key."""

    def __init__(
        self,
        name: str,
        spec: MistralSpec,
        admin_key: SecretValue,
        *,
        admin: URL,
        models: URL,
        client: HttpClient,
    ) -> None:
        """`name`: how errors call it.

        `admin`: where the Admin API is, without a slash at its end; `models`: what answers to ordinary keys.
        """
        scheme = "Bearer" if spec.auth_header == "Authorization" else ""
        self._credential = Credential(spec.auth_header, admin_key, scheme)
        self._name = name
        self._admin = admin
        self._models = models
        self._client = client

    async def create(self, request: KeyRequest) -> IssuedKey:
        """As the port says; POST /api-keys, once."""
        asked = self._asked("POST", "/api-keys")
        body = {
            "name": request.name,
            "workspace_uuid": request.workspace_id,
            "user_id": request.user_id,
            "expiration": request.expiration.isoformat() if request.expiration else None,
        }
        outcome = await self._ask("create", "POST", "/api-keys", body=json.dumps(body).encode(), rank=request.urgency)
        error = create_failure(asked, outcome)
        if error is not None:
            raise error
        assert isinstance(outcome, Answer)  # a Silence is a failure
        created = parse(CreatedKey, outcome.body) if outcome.flaw is None else None
        if created is None:
            raise unclear(asked, outcome)
        return IssuedKey(
            key_id=KeyId(created.key_id),
            plaintext=created.key,
            masked=created.hidden_key,
            expires_on=created.expiration_date,
            created_at=created.created_at,
        )

    async def revoke(self, key_id: KeyId, workspace_id: str | None = None, *, ahead: bool = False) -> None:
        """As the port says; DELETE /api-keys/{key_id}.

        A 404 is believed only from an Admin API that answers, and knows the workspace: a wrong adminPath answers 404 to everything,
        and another organization to all our keys.
        """
        if not _KEY_ID.fullmatch(key_id):
            raise Rejected(
                f"the key's id in the status is none that {self._name} gives; correct it", reason=Reason.ISSUER_REFUSED
            )
        asked = self._asked("DELETE", f"/api-keys/{key_id}")
        rank = AHEAD if ahead else None
        outcome = await self._ask("revoke", "DELETE", f"/api-keys/{key_id}", rank=rank)
        if isinstance(outcome, Answer) and outcome.status == 404:  # noqa: PLR2004 - HTTP: not found
            await self._read("list", "/api-keys", KeyPage, limit="1", offset="0")
            await self._recognize(workspace_id)
            return
        if isinstance(outcome, Answer) and outcome.status == 409:  # noqa: PLR2004 - HTTP: conflict
            raise Unavailable(
                f"{self._name} answered {asked.what} with 409; it is tried again", after=outcome.retry_after
            )
        error = failure(asked, outcome)
        if error is not None:
            raise error

    async def list_keys(self, name: str | None = None, *, pace: Pace | None = None) -> Sequence[ListedKey]:
        """As the port says; GET /api-keys, read by mistral_wire.every_key."""
        search = {} if name is None else {"name": name}
        reading = every_key()
        shifting = False
        try:
            wanted = next(reading)
            while True:
                if pace is not None and not wanted.at_once:
                    await pace(wanted.read, None)
                page = await self._page(wanted, search, pace)
                wanted = reading.send(page.listed())
        except StopIteration as done:
            keys: list[ListedKey] = done.value
        except PagesShiftError:
            shifting = True
        if shifting:
            raise Unavailable(f"{self._name}: its keys change faster than they can be listed; it is tried again")
        return keys

    async def _page(self, wanted: NextPage, search: Mapping[str, str], pace: Pace | None) -> KeyPage:
        while True:
            try:
                return await self._read(
                    "list", "/api-keys", KeyPage, limit=str(PAGE), offset=str(wanted.offset), **search
                )
            except Retryable as error:
                if pace is None:
                    raise
                failed = error
            await pace(wanted.read, failed)

    async def workspaces(self) -> Sequence[Workspace]:
        """As the port says; GET /workspaces, read again where its total does not add up."""
        return await self._workspaces(archived=False)

    async def archived_workspaces(self) -> Sequence[Workspace]:
        """As the port says; what the platform lists both ways is not archived."""
        live = {one.id for one in await self._workspaces(archived=False)}
        return [one for one in await self._workspaces(archived=True) if one.id not in live]

    async def user_id(self, user: str) -> str:
        """As the port says; GET /users/{user_id} for a uuid, GET /users?email= for an address."""
        if _UUID.fullmatch(user):
            return await self._member(user)
        wanted = user.strip().casefold()
        invited = False
        for number in range(1, _USER_PAGES + 1):
            page = await self._read(
                "user", "/users", UserPage, email=user.strip(), page=str(number), page_size=str(PAGE)
            )
            for member in page.members:
                if member.email is not None and member.email.casefold() == wanted:
                    return member.uuid
            invited = invited or any(invitation.email.casefold() == wanted for invitation in page.invites)
            if len(page.members) + len(page.invites) < PAGE:
                break
        raise Rejected(
            f"{self._name}: the invitation of spec.mistral.user to the organization is still pending; accept it or name a member"
            if invited
            else f"{self._name}: no member of the organization has the e-mail address of spec.mistral.user; correct it or invite them",
            reason=Reason.USER_NOT_FOUND,
        )

    async def check(self, plaintext: SecretValue) -> bool:
        """As the port says; GET /v1/models. A 403 is a refusal as well: such a key works for nobody."""
        asked = Asked(self._name, f"GET {self._models.path}", self._models, "checkUrl")
        credential = Credential("Authorization", plaintext, "Bearer")
        if not credential.sendable():
            return False
        # A plaintext waits for this, in memory alone.
        outcome = await self._client.send(Call("check", "GET", self._models, credential, rank=AHEAD))
        if isinstance(outcome, Answer) and outcome.status in (401, 403):
            return False
        error = failure(asked, outcome)
        if error is not None:
            raise error
        return True

    async def usage(self) -> Sequence[Usage]:
        """As the port says; GET /usage, which tells of this month unless asked for another."""
        return (await self._read("usage", "/usage", UsageReport)).used()

    def quiet(self) -> None:
        """As the port says."""
        self._client.quiet()

    async def close(self) -> None:
        """As the port says."""
        await self._client.close()

    async def _recognize(self, workspace_id: str | None) -> None:
        """Whether this is the organization that has this workspace; None: nobody knows."""
        if workspace_id is None:
            return
        for archived in (False, True):
            if any(one.id.lower() == workspace_id.lower() for one in await self._workspaces(archived=archived)):
                return
        raise Rejected(
            f"{self._name} knows neither the key nor its workspace {workspace_id}: the admin key is one of another organization; put one "
            "of the key's own into the Secret that spec.mistral.adminKeySecretRef names",
            reason=Reason.WORKSPACE_NOT_FOUND,
        )

    async def _workspaces(self, *, archived: bool) -> list[Workspace]:
        for _ in range(_TRIES):
            found = await self._workspaces_once(archived=archived)
            if found is not None:
                return found
        raise Unavailable(f"{self._name}: its workspaces change faster than they can be listed; it is tried again")

    async def _workspaces_once(self, *, archived: bool) -> list[Workspace] | None:
        """None where pages and total do not agree: something was created or archived meanwhile."""
        found: dict[str, Workspace] = {}
        total = None
        for number in range(1, _PAGES + 1):
            page = await self._read(
                "workspaces",
                "/workspaces",
                WorkspacePage,
                is_archived="true" if archived else "false",
                page=str(number),
                page_size=str(PAGE),
            )
            if total is not None and page.total != total:
                return None
            total = page.total
            found.update((item.uuid, Workspace(id=item.uuid, name=item.name)) for item in page.items)
            if not page.items or len(found) >= total:
                break
        return list(found.values()) if len(found) == total else None

    async def _member(self, user_id: str) -> str:
        path = f"/users/{user_id}"
        asked = self._asked("GET", path)
        outcome = await self._ask("user", "GET", path)
        if isinstance(outcome, Answer) and outcome.status == 404:  # noqa: PLR2004 - HTTP: not found
            raise Rejected(
                f"{self._name}: no member of the organization has the uuid of spec.mistral.user; correct it",
                reason=Reason.USER_NOT_FOUND,
            )
        return self._understood(asked, outcome, Member).uuid

    async def _read(self, operation: str, path: str, shape: type[_Shape], **query: str) -> _Shape:
        return self._understood(self._asked("GET", path), await self._ask(operation, "GET", path, query=query), shape)

    def _understood(self, asked: Asked, outcome: Answer | Silence, shape: type[_Shape]) -> _Shape:
        error = failure(asked, outcome)
        if error is not None:
            raise error
        assert isinstance(outcome, Answer)  # a Silence is a failure
        if outcome.flaw is not None:
            raise Unavailable(f"{self._name}'s answer to {asked.what} {outcome.flaw}; it is tried again")
        read = parse(shape, outcome.body)
        if read is None:
            raise malformed(asked)
        return read

    async def _ask(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        rank: float | None = None,
    ) -> Answer | Silence:
        if not self._credential.sendable():
            raise Unauthorized(
                f"{self._name}: the admin key is empty or holds characters that no key has; put a valid Admin API key into the Secret "
                "that spec.mistral.adminKeySecretRef names",
                reason=Reason.ADMIN_KEY_REFUSED,
            )
        url = URL(f"{self._admin}{quote(path)}", encoded=True).with_query(query)
        return await self._client.send(Call(operation, method, url, self._credential, body, rank))

    def _asked(self, method: str, path: str) -> Asked:
        """A request of the Admin API as messages tell of it: without host and query."""
        return Asked(self._name, f"{method} {self._admin.path.rstrip('/')}{path}", self._admin)


def mistral_factory(
    *,
    allow_insecure: bool,
    on_request: Callable[[str, str, float], None] | None = None,
    lease: Lease = _ALONE,
    longest_call: float = math.inf,
) -> IssuerFactory:
    """A factory of MistralIssuers.

    `allow_insecure`: plain http and loopback hosts are let through. `on_request` hears of each request sent: operation
    (create, revoke, list, workspaces, user, usage, check), status or unreachable, untrusted, timeout, cut, closed, and seconds.
    `lease` is asked before each request; an issuer whose requests may take more than `longest_call` seconds, for which the
    lease is sure to last while it is renewed, is refused.
    """

    def make(name: str, spec: KeyIssuerSpec, admin_key: SecretValue, ca_bundle: SecretValue | None) -> Issuer:
        mistral = spec.mistral
        if mistral is None:
            raise Rejected(f"{name}: spec.mistral is missing; write it", reason=Reason.ISSUER_INVALID)
        url = _valid(name, "url", lambda: base_url(mistral.url, allow_insecure=allow_insecure))
        path = _valid(name, "adminPath", lambda: checked_path(mistral.admin_path))
        checked_at = mistral.check_url
        check = (
            url
            if checked_at is None
            else _valid(name, "checkUrl", lambda: base_url(checked_at, allow_insecure=allow_insecure))
        )
        deadline = parse_duration(spec.requests.timeout).total_seconds()
        if deadline > longest_call:
            raise Rejected(
                f"{name}: spec.requests.timeout of {spec.requests.timeout} does not fit into the operator's lease; write at most "
                f"{math.floor(longest_call)}s, or run keywright with a longer --lease-duration",
                reason=Reason.ISSUER_INVALID,
            )
        bundle = "caBundleSecretRef" if mistral.ca_bundle_secret_ref else "caBundleConfigMapRef"
        tls = _valid(name, bundle, lambda: trust(ca_bundle))
        return MistralIssuer(
            name,
            mistral,
            admin_key,
            admin=URL(f"{str(url).rstrip('/')}{path}", encoded=True),
            models=URL(f"{str(check).rstrip('/')}/v1/models", encoded=True),
            client=HttpClient(
                peer=name,
                deadline=deadline,
                per_second=spec.requests.per_second,
                burst=spec.requests.burst,
                tls=tls,
                on_request=on_request,
                lease=lease,
                own_machine=allow_insecure,
            ),
        )

    return make


_Value = TypeVar("_Value")


def _valid(name: str, field: str, read: Callable[[], _Value]) -> _Value:
    try:
        return read()
    except ValueError as error:
        raise Rejected(f"{name}: spec.mistral.{field} {error}", reason=Reason.ISSUER_INVALID) from None
