"""The WSGI application that the web server runs, and the layer around it that keeps secrets out of everything inside.

Outermost of all: what it hides appears in no log, no error report and no header further in. It also writes the access
log, because the server's own would write the secret addresses.
"""

import logging
import os
import re
import secrets as random
import time
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django_application = get_wsgi_application()

# After Django is set up: these read its settings.
from config import logs  # noqa: E402
from connections.secrets import fingerprint  # noqa: E402
from events.api import REQUEST_ID  # noqa: E402
from events.auth import ADDRESS_DIGEST  # noqa: E402

access = logging.getLogger("viaduct.access")

_ADDRESS = re.compile(r"^(/api/v1/ingest/)(.+?)/?$", re.DOTALL)
_OTHER_SPELLINGS = ("REQUEST_URI", "RAW_URI", "PATH_TRANSLATED", "HTTP_REFERER")
_GIVEN_ID = re.compile(r"[A-Za-z0-9_.:-]{8,40}")
_OWN_ENVIRONMENT = tuple(
    name for name in os.environ if not name.startswith(("HTTP_", "SERVER_", "REQUEST_", "REMOTE_", "PATH_INFO"))
)  # some servers copy it into every request, passwords in addresses and all

type Start = Callable[..., Any]


def application(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
    """One request: hide, number, answer, log."""
    began_at = time.perf_counter()
    hide(environ)
    environ[REQUEST_ID] = request_id = _request_id(environ)
    logs.REQUEST_ID.set(request_id)

    def starting(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        headers.append(("X-Request-Id", request_id))
        milliseconds = (time.perf_counter() - began_at) * 1000
        asked = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        who, about = environ.get("REMOTE_ADDR", "-"), {"status": int(status[:3]), "ms": round(milliseconds, 1)}
        access.info("%s %s %.1fms %s %s", asked, status[:3], milliseconds, who, request_id, extra=about)
        return start_response(status, headers, *more)

    return django_application(environ, starting)


def hide(environ: dict[str, Any]) -> None:
    """Leave `/api/v1/ingest/***` of a secret address, and the token's keyed hash under a key of our own."""
    for name in _OWN_ENVIRONMENT:
        environ.pop(name, None)
    environ.pop(ADDRESS_DIGEST, None)
    found = _ADDRESS.match(environ.get("PATH_INFO", ""))
    if found:
        environ[ADDRESS_DIGEST] = fingerprint(found[2].encode("utf-8", "replace").decode(), "address")
        environ["PATH_INFO"] = f"{found[1]}***"
        for name in _OTHER_SPELLINGS:
            environ.pop(name, None)


def _request_id(environ: dict[str, Any]) -> str:
    given = environ.get("HTTP_X_REQUEST_ID", "")
    return given if _GIVEN_ID.fullmatch(given) else random.token_hex(8)
