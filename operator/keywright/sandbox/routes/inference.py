"""What ordinary keys may call: /v1/models and /v1/users/me/workspaces. The gate has let the key through already."""

from typing import Annotated

from fastapi import FastAPI, Query, Request
from fastapi.responses import Response

from keywright.sandbox.answers import answer
from keywright.sandbox.gate import CALLER
from keywright.sandbox.reading import Integer, OptionalId, Text
from keywright.sandbox.store import Store, workspaces
from keywright.sandbox.wire import BaseModelCard, ListWorkspacesResponse, ModelCapabilities, ModelList, UserWorkspace

__all__ = ["install"]

_CHAT = ModelCapabilities(completion_chat=True, function_calling=True)
_MODELS = (
    BaseModelCard(
        id="mistral-small-latest",
        created=1_756_746_619,
        capabilities=_CHAT,
        name="mistral-small-latest",
        description="A stand-in: the sandbox completes nothing.",
        max_context_length=131_072,
        default_model_temperature=0.3,
    ),
    BaseModelCard(
        id="codestral-latest",
        created=1_756_746_619,
        capabilities=ModelCapabilities(completion_chat=True, completion_fim=True),
        name="codestral-latest",
        description="A stand-in: the sandbox completes nothing.",
        max_context_length=262_144,
        default_model_temperature=0.3,
    ),
)


def install(app: FastAPI, store: Store) -> None:
    """Add the routes of this subject."""

    @app.get("/v1/models")
    async def list_models(provider: Text = None, model: Text = None) -> Response:
        shown = [one for one in _MODELS if provider in {None, "", one.owned_by} and model in {None, "", one.id}]
        return answer(ModelList(data=shown))

    @app.get("/v1/users/me/workspaces")
    async def list_workspaces(
        request: Request,
        organization_id: OptionalId = None,
        offset: Annotated[Integer, Query(ge=0)] = 0,
        limit: Annotated[Integer, Query(ge=1, le=100)] = 100,
    ) -> Response:
        own = store.read(workspaces.organization_id)
        found = (
            store.read(workspaces.of_user, request.scope[CALLER].user_id, limit=limit, offset=offset)
            if organization_id in {None, own}
            else []
        )
        shown = [UserWorkspace(id=one, name=name, organization_id=own) for one, name in found]
        return answer(ListWorkspacesResponse(workspaces=shown))
