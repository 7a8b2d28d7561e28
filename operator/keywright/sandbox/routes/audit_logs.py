"""/v1/admin/audit-logs."""

from typing import Literal

from fastapi import FastAPI
from fastapi.responses import Response
from pydantic import TypeAdapter

from keywright.sandbox.reading import ActorTypes, EventTypes, Instant, Integer, TargetTypes, Text
from keywright.sandbox.store import Store, audit, workspaces
from keywright.sandbox.wire import AuditLogOut

__all__ = ["install"]

_LIST = TypeAdapter(list[AuditLogOut])


def install(app: FastAPI, store: Store) -> None:
    """Add the routes of this subject."""

    @app.get("/v1/admin/audit-logs")
    async def get_audit_logs(  # noqa: PLR0917 - query parameters
        actor_type: ActorTypes = None,
        event_type: EventTypes = None,
        target_type: TargetTypes = None,
        actor_user_uuid: Text = None,
        sort: Literal["ascending", "descending"] = "descending",
        after: Instant = None,
        before: Instant = None,
        limit: Integer = 20,
    ) -> Response:
        # Every actor is the admin key, which is no user, and every target an API key.
        nothing = (
            (actor_type is not None and audit.ACTOR not in actor_type)
            or (target_type is not None and audit.TARGET not in target_type)
            or actor_user_uuid is not None
        )
        entries = store.read(
            audit.find,
            event_types=event_type,
            after=after,
            before=before,
            ascending=sort == "ascending",
            limit=0 if nothing else limit,
        )
        organization = store.read(workspaces.organization_id)
        logs = [_shown(entry, organization) for entry in entries]
        return Response(_LIST.dump_json(logs), media_type="application/json")


def _shown(entry: audit.Entry, organization: str) -> AuditLogOut:
    return AuditLogOut(
        created_at=entry.created_at,
        actor_type=audit.ACTOR,
        actor_metadata={"name": "admin key"},
        event_type=entry.event_type,
        event_metadata=entry.event_metadata,
        target_type=audit.TARGET,
        target_metadata=entry.target_metadata,
        log_id=entry.id,
        organization_uuid=organization,
        workspace_uuid=entry.workspace_id,
    )
