"""Serve generated files read-only: never from outside of their folder, and never with the rights of a user.

What is in them comes from data, and they are served from the address of Airflow itself: a script in one could
act as the user who opens it. So a browser is told to treat each as a stranger's page that may not connect.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import HTTPException, status
from fastapi.responses import FileResponse

HARMLESS = {
    # Great Expectations' pages take their styles and scripts from the net.
    "Content-Security-Policy": "sandbox allow-scripts allow-popups allow-popups-to-escape-sandbox; "
    "default-src 'none'; script-src 'self' 'unsafe-inline' https:; style-src 'self' 'unsafe-inline' https:; "
    "img-src 'self' data:; font-src 'self' data: https:; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

_ALONE = {
    # One file with all that it needs.
    **HARMLESS,
    "Content-Security-Policy": "sandbox allow-scripts allow-popups allow-popups-to-escape-sandbox; "
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "font-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'",
}


def locate(folder: Path, relative: str) -> Path:
    """The existing file at `relative` below `folder`, links resolved; a folder means its index.html.

    Raises:
        HTTPException: 404, when it is not there or not below `folder`.
    """
    root = folder.resolve()
    try:
        path = (root / relative).resolve()
        if path.is_dir():
            path /= "index.html"
        found = path.is_relative_to(root) and path.is_file()
    except (OSError, ValueError):  # A name that is too long, or holds a null byte.
        found = False
    if not found:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "no such file; it may not be generated yet")
    return path


def serve(folder: Path, relative: str, *, alone: bool = False) -> FileResponse:
    """Answer with the file at `relative` below `folder`; one that needs nothing else is served `alone`."""
    return FileResponse(locate(folder, relative), headers=_ALONE if alone else HARMLESS)
