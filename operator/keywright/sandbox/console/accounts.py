"""What there is beside keys: the choice of a Workspace, usage, the audit log, the expiration policy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from keywright.sandbox.console.door import see
from keywright.sandbox.console.forms import Refusal
from keywright.sandbox.console.places import EVERY_WORKSPACE, ORGANIZATION, Place, place_of
from keywright.sandbox.store import audit, keys, policy, usage, workspaces
from keywright.sandbox.wire import PolicyIN

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from keywright.sandbox.console.pages import Pages
    from keywright.sandbox.console.sessions import Session
    from keywright.sandbox.store import Store

__all__ = ["Accounts"]

_ENTRIES: Final = 100
_MONTH: Final = re.compile(r"[12][0-9]{3}-(0[1-9]|1[0-2])")
_DAYS: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class _Month:
    """A calendar month."""

    first: date

    @property
    def following(self) -> date:
        """The first day of the next one."""
        return (self.first + timedelta(days=31)).replace(day=1)

    @property
    def days(self) -> list[str]:
        """Its days as the store writes them."""
        return [f"{self.first + timedelta(days=n):%Y-%m-%d}" for n in range((self.following - self.first).days)]


class Accounts:
    """The pages beside those about keys."""

    def __init__(self, store: Store, pages: Pages) -> None:
        self._store = store
        self._pages = pages

    async def choose(self, _: Request, session: Session) -> Response:
        """The first page: which Workspace, or the organization."""
        return self._pages.show(
            "workspaces.html",
            session=session,
            workspaces=self._workspaces(archived=False),
            keys=self._store.read(keys.count),
        )

    async def usage(self, request: Request, session: Session) -> Response:
        """Requests of a month, by day; in the organization's view by Workspace too."""
        place = place_of(request, self._store)
        month = self._month(request.query_params.get("month"))
        days = month.days
        counted = self._store.read(usage.between, days[0], days[-1], place.workspace_id)
        by_day = dict.fromkeys(days, 0)
        by_workspace: dict[str, int] = {}
        for day, workspace, requests in counted:
            by_day[day] += requests
            by_workspace[workspace] = by_workspace.get(workspace, 0) + requests
        return self._pages.show(
            "usage.html",
            session=session,
            place=place,
            path=f"{place.path}/usage",
            month=f"{month.first:%Y-%m}",
            previous=f"{month.first - timedelta(days=1):%Y-%m}",
            following=f"{month.following:%Y-%m}" if month.following <= self._store.now().date() else None,
            by_day=by_day,
            highest=max(by_day.values()),
            total=sum(by_day.values()),
            workspaces=self._shares(place, by_workspace),
        )

    async def audit_log(self, request: Request, session: Session) -> Response:
        """Events, newest first; `before` in the query goes on where a page ended."""
        entries = self._store.read(
            audit.find,
            event_types=None,
            after=None,
            before=request.query_params.get("before") or None,
            ascending=False,
            limit=_ENTRIES,
        )
        return self._pages.show(
            "audit_log.html",
            session=session,
            place=ORGANIZATION,
            path=f"{ORGANIZATION.path}/audit-log",
            entries=entries,
            older=entries[-1].created_at if len(entries) == _ENTRIES else None,
            names={one.id: one.name for one in self._workspaces(archived=True)},
        )

    async def policy(self, _: Request, session: Session) -> Response:
        """The organization's expiration policy."""
        days = self._store.read(policy.of_organization)
        return self._policy(session, "" if days is None else str(days))

    async def set_policy(self, _: Request, session: Session, fields: dict[str, str]) -> Response:
        """Change it; no number takes it away."""
        asked = fields.get("days", "")
        days = int(asked) if _DAYS.fullmatch(asked) else asked or None
        try:
            wanted = PolicyIN.model_validate({"max_validity_days": days})
        except ValidationError:
            return self._policy(session, asked, wrong=True)
        await self._store.write(policy.set_for_organization, wanted.max_validity_days)
        longest = wanted.max_validity_days
        session.notice = (
            "There is no policy now: a new key may be valid for ever."
            if longest is None
            else f"New keys are valid for {longest} days at most. Keys that exist keep their dates."
        )
        return see(f"{ORGANIZATION.path}/policy")

    def _policy(self, session: Session, days: str, *, wrong: bool = False) -> Response:
        return self._pages.show(
            "policy.html",
            session=session,
            place=ORGANIZATION,
            path=f"{ORGANIZATION.path}/policy",
            status=422 if wrong else 200,
            days=days,
            wrong=wrong,
        )

    def _month(self, asked: str | None) -> _Month:
        if asked is None:
            return _Month(self._store.now().date().replace(day=1))
        if not _MONTH.fullmatch(asked):
            raise Refusal(422, "A month is written YYYY-MM, for example 2026-11.")
        return _Month(date.fromisoformat(f"{asked}-01"))

    def _shares(self, place: Place, counted: dict[str, int]) -> list[tuple[workspaces.WorkspaceRow, int]]:
        """Every Workspace with its requests; archived ones where they had some."""
        if place.workspace is not None:
            return []
        live = {one.id for one in self._workspaces(archived=False)}
        return [
            (one, counted.get(one.id, 0))
            for one in self._workspaces(archived=True)
            if one.id in live or one.id in counted
        ]

    def _workspaces(self, *, archived: bool) -> list[workspaces.WorkspaceRow]:
        return self._store.read(workspaces.find, archived=archived, search=None, limit=EVERY_WORKSPACE, offset=0)[1]
