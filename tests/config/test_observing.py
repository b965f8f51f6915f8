"""Sentry and OpenTelemetry, the real packages against a collector on this machine: off by default, told of nobody."""

import gzip
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from django.core.exceptions import ImproperlyConfigured
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from config import observing
from tests.running import environment, manage, web

EMAIL = "sarah.mason@klaviyo-demo.com"
PRIVATE = (EMAIL, "sarah.mason", "203.0.113.9", "secret-of-a-cookie", "vk_secret-of-a-key", "secret-of-an-address")
REQUEST = "request-of-sarahs"
PATIENCE_SECONDS = 30
type Site = Callable[..., dict[str, str]]


class Collector(BaseHTTPRequestHandler):
    """Takes whatever is sent and keeps it, unpacked."""

    got: list[tuple[str, bytes]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        packed = self.headers.get("Content-Encoding") == "gzip"
        self.got.append((self.path, gzip.decompress(body) if packed else body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[str]:
    Collector.got.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def asked(environ: dict[str, str]) -> None:
    """A page that breaks, a search for a person, a secret address; the server ends before this returns."""
    headers = {
        "X-Request-Id": REQUEST, "Cookie": "sessionid=secret-of-a-cookie", "X-Forwarded-For": "203.0.113.9",
        "X-Api-Key": "vk_secret-of-a-key", "User-Agent": f"Mozilla/5.0 ({EMAIL})",
    }  # fmt: skip
    with web(environ, "tests.config.faulty_site:application") as (port, _):
        site = f"http://127.0.0.1:{port}"
        broken = requests.post(f"{site}/fault/{EMAIL}/?q={EMAIL}", {"email": EMAIL}, headers=headers, timeout=10)
        requests.get(f"{site}/app/?q={EMAIL}", headers=headers, timeout=10)
        requests.post(f"{site}/api/v1/ingest/secret-of-an-address", EMAIL, headers=headers, timeout=10)
    assert broken.status_code == 500


def got(path: str, least: int = 1) -> list[bytes]:
    """What was sent there, once there is some of it: both packages send from a thread of their own."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        bodies = [body for at, body in Collector.got if at.startswith(path)]
        if len(bodies) >= least:
            return bodies
        time.sleep(0.05)
    raise TimeoutError(f"nothing came to {path}")


@pytest.fixture
def site(tmp_path: Path, empty_sqlite: Callable[[Path], str]) -> Site:
    """The environment of a site of its own, with more variables as they are given."""
    return partial(environment, empty_sqlite(tmp_path))


def test_nothing_is_sent_unless_it_is_named(site: Site, collector: str) -> None:
    asked(site())
    assert Collector.got == []


def test_sentry_hears_where_it_broke_and_in_which_request_but_not_to_whom(site: Site, collector: str) -> None:
    asked(site(SENTRY_DSN=f"http://public@{collector}/1"))
    sent = b"".join(got("/api/1/envelope/"))
    report = next(json.loads(line) for line in sent.splitlines() if b'"exception"' in line)
    (fault,) = report["exception"]["values"]
    assert (fault["type"], fault["stacktrace"]["frames"][-1]["function"]) == ("KeyError", "fault")
    assert (report["tags"], report["request"]) == ({"request_id": REQUEST}, {"method": "POST"})
    assert report["transaction"] == "/fault/{person}/"
    assert [word for word in PRIVATE if word.encode() in sent] == []


def test_a_trace_names_the_road_and_the_request_but_nobody(site: Site, collector: str) -> None:
    asked(site(OTEL_ENDPOINT=f"http://{collector}"))
    sent = b"".join(got("/v1/traces"))
    spans = [
        span
        for body in got("/v1/traces")
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    routes = [{value.key: value.value.string_value for value in span.attributes} for span in spans]
    broken = next(route for route in routes if "fault" in route.get("http.route", ""))
    assert broken["viaduct.request_id"] == REQUEST
    assert {"HTTP POST", "POST fault/<str:person>/"} & {span.name for span in spans}
    assert [word for word in PRIVATE if word.encode() in sent] == []


def test_a_fault_in_the_worker_is_reported_without_the_words_it_was_logged_with(site: Site, collector: str) -> None:
    environ = site(SENTRY_DSN=f"http://public@{collector}/1")
    code = f"import logging; logging.getLogger('viaduct.lane').error('no answer for %s', '{EMAIL}')"
    manage(environ, "shell", "--no-imports", "-c", code)
    sent = b"".join(got("/api/1/envelope/"))
    assert b"viaduct.lane" in sent
    assert EMAIL.encode() not in sent


def test_watching_adds_no_header_to_a_call_to_klaviyo(site: Site, collector: str, twin: Any) -> None:
    environ = site(
        SENTRY_DSN=f"http://public@{collector}/1", OTEL_ENDPOINT=f"http://{collector}",
        KLAVIYO_BASE_URL=twin.url,
    )  # fmt: skip
    code = "from connections.klaviyo.client import Client; Client().call('GET', '/api/events', 'Klaviyo-API-Key none')"
    manage(environ, "shell", "--no-imports", "-c", code)
    (call,) = twin.requests()
    assert not {"sentry-trace", "baggage", "traceparent"} & {name.lower() for name in call["headers"]}


@pytest.mark.parametrize("name", ["SENTRY_DSN", "OTEL_ENDPOINT"])
def test_a_missing_package_is_named(settings: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for module in ("sentry_sdk", "opentelemetry.trace"):
        monkeypatch.setitem(sys.modules, module, None)
    setattr(settings, name, "http://127.0.0.1:9")
    with pytest.raises(ImproperlyConfigured, match=name):
        observing.start()


def test_a_report_says_where_and_not_to_whom() -> None:
    event = {
        "request": {"url": "https://v.test/app/", "method": "POST", "data": f"email={EMAIL}", "query_string": EMAIL},
        "exception": {"values": [{"type": "KeyError", "value": EMAIL, "stacktrace": {"frames": [{"vars": {"x": 1}}]}}]},
        "user": {"email": EMAIL},
        "breadcrumbs": {"values": [EMAIL]},
    }
    assert EMAIL not in str(observing.stripped(event))
    assert event["exception"]["values"][0]["type"] == "KeyError"
