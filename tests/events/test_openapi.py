"""The OpenAPI document: it says what the running server does."""

import json
from contextlib import ExitStack

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.events.door import call
from tests.running import environment, module, web

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def running(tmp_path_factory, empty_sqlite):
    """A server of its own and its key that may read."""
    environ = environment(empty_sqlite(tmp_path_factory.mktemp("door")))
    keys = json.loads(module(environ, "tests.bench.ingest_keys"))
    with ExitStack() as stack:
        port, _ = stack.enter_context(web(environ))
        yield f"http://127.0.0.1:{port}", keys["bearer"]


def test_the_running_server_does_what_the_document_says(running):
    address, clear = running
    schema = schemathesis.openapi.from_url(f"{address}/api/schema/?format=json")
    asked = [hold(found.ok(), {"Authorization": f"Bearer {clear}"}) for found in schema.get_all_operations()]
    assert sorted(asked) == [
        ("GET", "/api/v1/events"),
        ("GET", "/api/v1/events/{id}"),
        ("POST", "/api/v1/events"),
        ("POST", "/api/v1/events/validate"),
        ("POST", "/api/v1/ingest/{token}"),
        ("POST", "/api/v1/signed/{public_id}"),
    ]


def hold(operation, headers: dict[str, str]) -> tuple[str, str]:
    """Ask the server whatever the document allows, and hold each answer against it."""

    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def asking(case):
        case.call_and_validate(headers=headers, checks=CHECKS)

    asking()
    return operation.method.upper(), operation.path


@pytest.mark.django_db
def test_the_document_is_openapi_3_1_and_names_both_ways_of_sending_a_key():
    told = call("GET", "/api/schema/?format=json").json
    assert told["openapi"].startswith("3.1")
    assert set(told["components"]["securitySchemes"]) == {"bearer", "apiKey"}


@pytest.mark.django_db
def test_the_readable_page_loads_nothing_from_elsewhere():
    page = call("GET", "/api/docs/").body.decode()
    assert "swagger-ui" in page
    assert "//cdn" not in page
    assert "https://" not in page
