"""What the door's tests share: a source with keys, a body, and a client that goes through the outermost layer."""

import io
import json
from typing import Any

from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from config.wsgi import application
from connections.models import Merchant, Source
from tests.events.plain_event import an_event  # noqa: F401 - the door's tests have it from here


def a_source(slug: str = "acme", dialect: str = "v1") -> Source:
    merchant, _ = Merchant.objects.get_or_create(slug=slug, defaults={"name": slug.title()})
    return Source.objects.create(merchant=merchant, name=f"Vrio {dialect}", dialect=dialect)


class Answer:
    """Status, headers and bytes of one answer."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def call(method: str, path: str, body: bytes = b"", **environ: Any) -> Answer:
    """One request through everything that stands in front of the view; `environ` holds WSGI names."""
    told: dict[str, Any] = {}

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        told.update(status=int(status[:3]), headers=dict(headers))

    path, _, query = path.partition("?")
    given = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/json",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
    } | environ
    request_started.disconnect(close_old_connections)  # they would close the test's own transaction
    request_finished.disconnect(close_old_connections)
    try:
        answer = application({name: value for name, value in given.items() if value is not None}, start)
        return Answer(told["status"], told["headers"], b"".join(answer))
    finally:
        request_started.connect(close_old_connections)
        request_finished.connect(close_old_connections)


def post(path: str, body: Any, **environ: Any) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return call("POST", path, raw, **environ)


def send(clear: str, body: Any, **environ: Any) -> Answer:
    """POST /api/v1/events with an API key."""
    return post("/api/v1/events", body, HTTP_AUTHORIZATION=f"Bearer {clear}", **environ)
