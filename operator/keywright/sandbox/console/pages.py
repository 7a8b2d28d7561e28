"""Templates and the files beside them."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Final

import jinja2
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from keywright.sandbox.console import wording

if TYPE_CHECKING:
    from starlette.requests import Request

    from keywright.sandbox.console.places import Place
    from keywright.sandbox.console.sessions import Session

__all__ = ["Pages"]

_KINDS: Final = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


class Pages:
    """All that a browser is shown. Read once: the files are part of the program."""

    def __init__(self) -> None:
        folder = resources.files("keywright.sandbox.console")
        self._files = {name: folder.joinpath("static", name).read_bytes() for name in _KINDS}
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("keywright.sandbox.console"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters |= {
            "days_away": wording.days_away,
            "maker": wording.maker,
            "name_parts": wording.name_parts,
        }
        self._templates.globals["static"] = self._address

    def show(
        self,
        template: str,
        *,
        session: Session | None = None,
        place: Place | None = None,
        path: str = "",
        status: int = 200,
        **values: object,
    ) -> Response:
        """A page. `session`: whose it is; `place`: what its header says; `path`: the tab that is open."""
        notice = session.take_notice() if session is not None else None
        body = self._templates.get_template(template).render(
            session=session, place=place, path=path, notice=notice, **values
        )
        return HTMLResponse(body, status_code=status, headers={"Cache-Control": "no-store"})

    async def file(self, request: Request) -> Response:
        """GET /static/{name}; the address changes with the content, so a browser may keep it."""
        name = request.path_params["name"]
        if name not in self._files:
            raise HTTPException(404)
        kept = "public, max-age=31536000, immutable"
        return Response(self._files[name], media_type=_KINDS[name], headers={"Cache-Control": kept})

    def _address(self, name: str) -> str:
        return f"/static/{name}?v={hashlib.sha256(self._files[name]).hexdigest()[:12]}"
