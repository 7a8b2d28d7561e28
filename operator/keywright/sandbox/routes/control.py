"""/sandbox: what the platform's console can do and its Admin API cannot. For tests; takes the admin key."""

from fastapi import FastAPI, Request
from fastapi.responses import Response

from keywright.sandbox.answers import read_body
from keywright.sandbox.limiter import RateLimiter
from keywright.sandbox.reading import Id
from keywright.sandbox.store import Store, policy
from keywright.sandbox.wire import PolicyIN, RateLimitIN

__all__ = ["install"]


def install(app: FastAPI, store: Store, limiter: RateLimiter) -> None:
    """Add the routes of this subject; each answers 204."""

    @app.put("/sandbox/policy")
    async def set_organization_policy(request: Request) -> Response:
        asked = await read_body(PolicyIN, request)
        await store.write(policy.set_for_organization, asked.max_validity_days)
        return Response(status_code=204)

    @app.put("/sandbox/workspaces/{workspace_uuid}/policy")
    async def set_workspace_policy(workspace_uuid: Id, request: Request) -> Response:
        asked = await read_body(PolicyIN, request)
        await store.write(policy.set_for_workspace, workspace_uuid, asked.max_validity_days)
        return Response(status_code=204)

    @app.put("/sandbox/rate-limit")
    async def set_rate_limit(request: Request) -> Response:
        asked = await read_body(RateLimitIN, request)
        limiter.set(asked.per_second)
        return Response(status_code=204)
