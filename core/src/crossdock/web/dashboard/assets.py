"""Our own style sheet, script and icon; nothing comes from anywhere else."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from crossdock.web.dashboard.rendering import WEB, asset
from crossdock.web.problems import problem

router = APIRouter(include_in_schema=False)

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FILES = {file.name: file for file in (WEB / "static").iterdir() if file.suffix in _TYPES}


@router.get("/static/{name}")
async def static(request: Request, name: str) -> Response:
    file = _FILES.get(name)
    if file is None:
        return problem(404, f"there is no file {name}")
    current = asset(name).rpartition("=")[2] == request.query_params.get("v")
    caching = "public, max-age=31536000, immutable" if current else "no-cache"
    return FileResponse(file, media_type=_TYPES[file.suffix], headers={"Cache-Control": caching})


@router.get("/favicon.ico")
async def favicon() -> Response:
    return FileResponse(_FILES["icon.svg"], media_type=_TYPES[".svg"])
