"""One POST over HTTP, for webhooks and pings."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from backup_tasks.errors import Transient

ADDRESS_HINT = "Write https://HOST/PATH, in ASCII: %C3%A4 for ä."
_SECONDS = 10.0
_SHOWN = 200
"""Characters of an answer that an error shows."""


class _NoRedirects(HTTPRedirectHandler):
    """urllib would follow with a GET, without the body."""

    def redirect_request(self, *_: Any) -> None:
        return None


def post(url: str, body: bytes, headers: Mapping[str, str], *, seconds: float = _SECONDS) -> None:
    """Send it. Raises Transient unless the answer is one of success; it names the host alone, since
    the rest of such an address is often a secret."""
    host = ""
    try:
        host = urlsplit(url).hostname or ""
        request = Request(url, data=body, headers=dict(headers), method="POST")  # noqa: S310  # a check allows http and https only
        with build_opener(_NoRedirects).open(request, timeout=seconds):
            return
    except HTTPError as error:
        with error:
            said = error.read(_SHOWN).decode(errors="replace").strip()
        what = f"{host} answered {error.code}{f': {said}' if said else ''}"
        raise Transient(what, obj=host) from error
    except (OSError, http.client.HTTPException) as error:
        raise Transient(f"{host} can't be reached: {error}", obj=host) from error
    except ValueError as error:  # its text could be the address
        raise Transient("the address is none", obj=host, hint=ADDRESS_HINT) from error
