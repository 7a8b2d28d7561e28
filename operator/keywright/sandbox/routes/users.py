"""/v1/admin/users."""

from fastapi import FastAPI
from fastapi.responses import Response

from keywright.sandbox.answers import answer
from keywright.sandbox.reading import Id, Page, Text
from keywright.sandbox.store import Store, users
from keywright.sandbox.wire import (
    AdminUserOUT,
    MemberWorkspaceInfo,
    OrganizationAdminUsersOUT,
    OrganizationMemberOUT,
)

__all__ = ["install"]


def install(app: FastAPI, store: Store) -> None:
    """Add the routes of this subject."""

    @app.get("/v1/admin/users")
    async def get_users(page: Page = 1, page_size: Page = 25, email: Text = None) -> Response:
        total, found = store.read(users.find, email=email, limit=page_size, offset=(page - 1) * page_size)
        members = [OrganizationMemberOUT(**_fields(user)) for user in found]
        return answer(OrganizationAdminUsersOUT(members=members, total=total, page=page, page_size=page_size))

    @app.get("/v1/admin/users/{user_id}")
    async def get_user(user_id: Id) -> Response:
        user = store.read(users.get, user_id)
        return answer(AdminUserOUT(**_fields(user), first_name=user.first_name, last_name=user.last_name))


def _fields(user: users.UserRow) -> dict[str, object]:
    return {
        "uuid": user.id,
        "name": f"{user.first_name} {user.last_name}",
        "email": user.email,
        "workspaces": [
            MemberWorkspaceInfo(
                uuid=one.workspace_id, name=one.name, is_default=one.is_default, raw_roles=[one.role], raw_role=one.role
            )
            for one in user.memberships
        ],
        "raw_roles": [user.role],
        "raw_role": user.role,
        "created_at": user.created_at,
    }
