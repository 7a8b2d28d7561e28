"""/v1/admin/api-keys."""

from fastapi import FastAPI, Request
from fastapi.responses import Response

from keywright.sandbox.answers import answer, read_body
from keywright.sandbox.reading import Id, Integer, Text
from keywright.sandbox.store import Store, keys
from keywright.sandbox.wire import (
    ActionAvailable,
    AdminCreateAPIKeyIN,
    APIKeyActions,
    APIKeyExtendedOUT,
    APIKeyOUT,
    APIKeysExtendedOUT,
    DeleteAPIKeyOUT,
    RotateUnavailable,
)

__all__ = ["install"]

_LIVE = APIKeyActions(rotate=ActionAvailable())
_EXPIRED = APIKeyActions(rotate=RotateUnavailable())


def install(app: FastAPI, store: Store) -> None:
    """Add the routes of this subject."""

    @app.get("/v1/admin/api-keys")
    async def get_api_keys(limit: Integer = 100, offset: Integer = 0, name: Text = None) -> Response:
        found = store.read(keys.find, name=name, limit=limit, offset=offset)
        today = store.today()
        return answer(APIKeysExtendedOUT(keys=[_listed(key, today) for key in found]))

    @app.post("/v1/admin/api-keys")
    async def create_api_key(request: Request) -> Response:
        asked = await read_body(AdminCreateAPIKeyIN, request)
        made = await store.write(
            keys.create,
            name=asked.name,
            workspace_id=asked.workspace_uuid,
            user_id=asked.user_id,
            expiration=asked.expiration,
            now=store.now(),
        )
        return answer(
            APIKeyOUT(
                key_id=made.id,
                key=made.plaintext,
                name=made.name,
                hidden_key=made.masked,
                created_at=made.created_at,
                expiration_date=made.expiration_date,
                actions=_actions(made.expiration_date, store.today()),
            )
        )

    @app.delete("/v1/admin/api-keys/{key_id}")
    async def delete_api_key(key_id: Id) -> Response:
        await store.write(keys.delete, key_id, store.now())
        return answer(DeleteAPIKeyOUT())


def _listed(key: keys.KeyRow, today: str) -> APIKeyExtendedOUT:
    return APIKeyExtendedOUT(
        key_id=key.id,
        key=None,
        name=key.name,
        hidden_key=key.masked,
        created_at=key.created_at,
        expiration_date=key.expiration_date,
        actions=_actions(key.expiration_date, today),
        workspace_id=key.workspace_id,
        workspace_name=key.workspace_name,
        created_by=key.created_by,
        last_used=key.last_used,
    )


def _actions(expires: str | None, today: str) -> APIKeyActions:
    return _EXPIRED if expires is not None and expires < today else _LIVE
