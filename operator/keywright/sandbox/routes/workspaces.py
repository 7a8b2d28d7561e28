"""/v1/admin/workspaces."""

from fastapi import FastAPI, Request
from fastapi.responses import Response

from keywright.sandbox.answers import answer, read_body
from keywright.sandbox.reading import Boolean, Id, Page, Text
from keywright.sandbox.store import Store, workspaces
from keywright.sandbox.wire import (
    AdminWorkspaceIn,
    UpdateWorkspaceIN,
    WorkspaceEnrichedOUT,
    WorkspaceOUT,
    WorkspacesOut,
)

__all__ = ["install"]


def install(app: FastAPI, store: Store) -> None:
    """Add the routes of this subject."""

    @app.get("/v1/admin/workspaces")
    async def get_workspaces(
        is_archived: Boolean = False,  # noqa: FBT002 - a query parameter
        page: Page = 1,
        page_size: Page = 25,
        search: Text = None,
    ) -> Response:
        total, found = store.read(
            workspaces.find, archived=is_archived, search=search, limit=page_size, offset=(page - 1) * page_size
        )
        items = [WorkspaceOUT(**_fields(one)) for one in found]
        return answer(WorkspacesOut(total=total, items=items, page=page, page_size=page_size))

    @app.post("/v1/admin/workspaces")
    async def create_workspace(request: Request) -> Response:
        asked = await read_body(AdminWorkspaceIn, request)
        made = await store.write(
            workspaces.create,
            name=asked.name,
            description=asked.description,
            icon=asked.icon,
            admin=asked.admin_user_id,
            everybody=asked.add_all_org_members,
        )
        return answer(WorkspaceEnrichedOUT(**_fields(made)))

    @app.patch("/v1/admin/workspaces/{workspace_uuid}")
    async def update_workspace(workspace_uuid: Id, request: Request) -> Response:
        asked = await read_body(UpdateWorkspaceIN, request)
        changed = await store.write(
            workspaces.update, workspace_uuid, name=asked.name, description=asked.description, icon=asked.icon
        )
        return answer(WorkspaceOUT(**_fields(changed)))

    @app.delete("/v1/admin/workspaces/{workspace_uuid}")
    async def archive_workspace(workspace_uuid: Id) -> Response:
        await store.write(workspaces.archive, workspace_uuid, store.now())
        return Response(status_code=204)


def _fields(row: workspaces.WorkspaceRow) -> dict[str, object]:
    return {
        "uuid": row.id,
        "name": row.name,
        "description": row.description,
        "icon": row.icon,
        "members_count": row.members,
        "is_default": row.is_default,
    }
