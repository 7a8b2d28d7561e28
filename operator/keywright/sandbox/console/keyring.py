"""The pages "Your API keys", of one Workspace or of the organization: listed, made and revoked as through the Admin API."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from pydantic import ValidationError

from keywright.sandbox.console.door import see
from keywright.sandbox.console.places import EVERY_WORKSPACE, Place, place_of
from keywright.sandbox.console.sessions import LAPSE, Session, ticket
from keywright.sandbox.store import NotFoundError, keys, policy, users, workspaces
from keywright.sandbox.wire import AdminCreateAPIKeyIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from keywright.sandbox.console.pages import Pages
    from keywright.sandbox.store import Store

__all__ = ["Keyring"]

_PER_PAGE: Final = 50
_PAGE: Final = re.compile(r"[1-9][0-9]{0,6}")

_SENTENCES: Final = {
    "name": "A name has at most 255 characters.",
    "expiration": "A date is written YYYY-MM-DD, for example 2027-01-31.",
    "workspace": "Choose a workspace: every key belongs to one.",
}


@dataclass(frozen=True, slots=True)
class _Draft:
    """What stands in the creation form, and what is wrong with it, by field."""

    name: str = ""
    expiration: str = ""
    workspace: str = ""
    wrong: tuple[str, ...] = ()

    @property
    def sentences(self) -> dict[str, str]:
        """What to say at each field."""
        return {field: _SENTENCES[field] for field in self.wrong}


@dataclass(frozen=True, slots=True)
class _View:
    """Which part of the list is looked at; it survives what is done there."""

    page: int = 1
    search: str = ""

    @classmethod
    def of(cls, asked: Mapping[str, str]) -> _View:
        page = asked.get("page", "")
        return cls(int(page) if _PAGE.fullmatch(page) else 1, asked.get("search", "").strip())

    def query(self, **more: str | int) -> str:
        """As an address shows it: what is not said is left out."""
        said = {"page": self.page if self.page > 1 else "", "search": self.search, **more}
        query = urlencode({name: value for name, value in said.items() if value})
        return f"?{query}" if query else ""


class Keyring:
    """The pages about keys."""

    def __init__(self, store: Store, pages: Pages) -> None:
        self._store = store
        self._pages = pages

    async def show(self, request: Request, session: Session) -> Response:
        """The list; `create` in the query opens the form, `asked` names the key that is asked about."""
        place = place_of(request, self._store)
        asked = request.query_params
        draft = _Draft() if "create" in asked else None
        return self._list(place, session, _View.of(asked), draft=draft, asked=asked.get("asked"))

    async def create(self, request: Request, session: Session, fields: dict[str, str]) -> Response:
        """A new key. Its plaintext is in this one answer: the form works once, and the list never has it."""
        place = place_of(request, self._store)
        draft = _Draft(
            name=fields.get("name", ""),
            expiration=fields.get("expiration", ""),
            workspace=place.workspace_id or fields.get("workspace", ""),
        )
        try:
            wanted = AdminCreateAPIKeyIN.model_validate(
                {
                    "name": draft.name or None,
                    "expiration": draft.expiration or None,
                    "workspace_uuid": draft.workspace,
                    "user_id": self._administrator().id,
                }
            )
        except ValidationError as error:
            return self._again(
                place, session, draft, {str(one["loc"][0]).removesuffix("_uuid") for one in error.errors()}
            )
        form = fields.get("ticket", "")
        if not session.spend(form):
            session.notice = (
                "That form was used before: its key was made then, and cannot be shown again. "
                "If you have not seen it, revoke it and create another one."
            )
            return see(f"{place.path}/api-keys")
        try:
            made = await self._store.write(
                keys.create,
                name=wanted.name,
                workspace_id=wanted.workspace_uuid,
                user_id=wanted.user_id,
                expiration=wanted.expiration,
                now=self._store.now(),
            )
        except NotFoundError:
            return self._again(place, session, draft, {"workspace"})
        except sqlite3.Error:
            session.give_back(form)
            raise
        clamped = made.expiration_date != (draft.expiration or None)
        return self._list(place, session, _View(), made=made, clamped=clamped)

    async def ask(self, request: Request, session: Session, fields: dict[str, str]) -> Response:
        """The trash icon's first click: the row asks back, for as long as LAPSE."""
        place = place_of(request, self._store)
        key_id = request.path_params["key"]
        session.ask(key_id, self._store.now())
        return see(f"{place.path}/api-keys{_View.of(fields).query(asked=key_id)}#key-{key_id}")

    async def revoke(self, request: Request, session: Session, fields: dict[str, str]) -> Response:
        """The second click: revokes if the question still stands."""
        place = place_of(request, self._store)
        key_id = request.path_params["key"]
        now = self._store.now()
        if session.answered(key_id, now):
            try:
                await self._store.write(keys.delete, key_id, now)
                session.notice = "The key is revoked: from now on it opens nothing."
            except NotFoundError:
                session.notice = "That key had been revoked already."
        else:
            session.notice = "The question had lapsed, so nothing was revoked. Click the trash icon again."
        return see(f"{place.path}/api-keys{_View.of(fields).query()}")

    def _again(self, place: Place, session: Session, draft: _Draft, wrong: set[str]) -> Response:
        """The form once more, with what is wrong beside its fields."""
        told = _Draft(draft.name, draft.expiration, draft.workspace, tuple(sorted(wrong)))
        return self._list(place, session, _View(), draft=told, status=422)

    def _list(
        self,
        place: Place,
        session: Session,
        view: _View,
        *,
        status: int = 200,
        draft: _Draft | None = None,
        asked: str | None = None,
        made: keys.CreatedKey | None = None,
        clamped: bool = False,
    ) -> Response:
        rows = self._store.read(
            keys.find,
            name=view.search or None,
            limit=_PER_PAGE + 1,
            offset=(view.page - 1) * _PER_PAGE,
            workspace_id=place.workspace_id,
        )
        now = self._store.now()
        return self._pages.show(
            "keys.html",
            session=session,
            place=place,
            path=f"{place.path}/api-keys",
            status=status,
            rows=rows[:_PER_PAGE],
            more=len(rows) > _PER_PAGE,
            view=view,
            asked=asked if asked and session.is_asked(asked, now) else None,
            lapse=int(LAPSE.total_seconds()),
            today=self._store.today(),
            opened=draft is not None,
            draft=draft or _Draft(),
            ticket=ticket(),
            longest=self._longest(place),
            administrator=self._administrator(),
            workspaces=self._workspaces() if place.workspace is None else [],
            made=made,
            clamped=clamped,
        )

    def _longest(self, place: Place) -> int | None:
        """The longest validity that a policy allows here, in days."""
        if place.workspace is None:
            return self._store.read(policy.of_organization)
        return self._store.read(policy.of_workspace, place.workspace.id)

    def _workspaces(self) -> list[workspaces.WorkspaceRow]:
        return self._store.read(workspaces.find, archived=False, search=None, limit=EVERY_WORKSPACE, offset=0)[1]

    def _administrator(self) -> users.UserRow:
        """For whom the console's keys are made: the admin key is no user, and a key needs one."""
        _, everybody = self._store.read(users.find, email=None, limit=EVERY_WORKSPACE, offset=0)
        return next(user for user in everybody if user.role == "A")
