"""/v1/admin/usage: how often keys were used, by Workspace and day. Nothing here costs anything."""

from datetime import UTC, date, datetime, time, timedelta

from fastapi import FastAPI
from fastapi.responses import Response

from keywright.sandbox.answers import answer
from keywright.sandbox.reading import ApiZone, Month, OptionalId, Year
from keywright.sandbox.store import Store, usage, workspaces
from keywright.sandbox.store.database import instant
from keywright.sandbox.wire import BasicModelUsageDataJSON, UsageOUTJSON

__all__ = ["install"]

_ZONE = "global"
"""Where the sandbox's requests are counted."""


def install(app: FastAPI, store: Store) -> None:
    """Add the routes of this subject."""

    @app.get("/v1/admin/usage")
    async def get_usage(
        month: Month = None, year: Year = None, workspace_id: OptionalId = None, api_zone: ApiZone = None
    ) -> Response:
        today = store.now().date()
        first = date(int(year or today.year), int(month or today.month), 1)
        following = _following(first)
        last = following - timedelta(days=1)
        if workspace_id is not None:
            store.read(workspaces.get, workspace_id, archived=True)
        counted = store.read(usage.between, first.isoformat(), last.isoformat(), workspace_id)
        return answer(
            UsageOUTJSON(
                completion=_by_workspace(counted) if api_zone in {None, _ZONE} else BasicModelUsageDataJSON(),
                date=_start(today),
                previous_month=f"{first - timedelta(days=1):%Y-%m}",
                next_month=f"{following:%Y-%m}" if following <= today else None,
                start_date=_start(first),
                end_date=instant(datetime.combine(last, time.max, UTC)),
            )
        )


def _by_workspace(counted: list[tuple[str, str, int]]) -> BasicModelUsageDataJSON:
    requests = [
        {"timestamp": f"{day}T00:00:00.000000Z", "workspace_id": workspace, "api_zone": _ZONE, "value": number}
        for day, workspace, number in counted
    ]
    return BasicModelUsageDataJSON(models={"sandbox": {"requests": requests}} if requests else {})


def _following(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)


def _start(day: date) -> str:
    return instant(datetime.combine(day, time.min, UTC))
