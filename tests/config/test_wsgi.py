"""What the outermost layer hides."""

import logging
import os

import pytest
from django.views.debug import get_exception_reporter_filter

from config import wsgi
from connections import keys
from events.auth import ADDRESS_DIGEST
from tests.events.door import a_source, an_event, call, post

pytestmark = pytest.mark.django_db


def hidden(path: str, **more) -> dict:
    environ = {"PATH_INFO": path, **more}
    wsgi.hide(environ)
    return environ


@pytest.mark.parametrize(
    "path", ["/api/v1/ingest/va_secret", "/api/v1/ingest/va_secret/", "/api/v1/ingest/va_secret/x"]
)
def test_the_token_leaves_the_environ_in_every_spelling(path):
    environ = hidden(path, REQUEST_URI=path, RAW_URI=path, HTTP_REFERER=f"http://localhost{path}")
    assert environ["PATH_INFO"] == "/api/v1/ingest/***"
    assert "va_secret" not in repr(environ)
    assert len(environ[ADDRESS_DIGEST]) == 64


def test_nobody_can_bring_a_hash_along():
    assert ADDRESS_DIGEST not in hidden("/api/v1/events", **{ADDRESS_DIGEST: "0" * 64})


def test_other_addresses_stay_as_they_are():
    assert hidden("/api/v1/events")["PATH_INFO"] == "/api/v1/events"
    assert hidden("/api/v1/ingest/")["PATH_INFO"] == "/api/v1/ingest/"


def test_the_servers_environment_is_no_part_of_a_request():
    """Some servers copy it into every request, and an error report would show it."""
    environ = hidden("/", DATABASE_URL=os.environ["DATABASE_URL"], FIELD_KEYS="x")
    assert set(environ) == {"PATH_INFO"}


def test_the_access_log_has_one_line_without_token_or_query(caplog):
    token = keys.new_address(a_source(), name="x")[1]
    with caplog.at_level(logging.INFO, logger="viaduct.access"):
        assert post(f"/api/v1/ingest/{token}?email=ann@klaviyo-demo.com", an_event()).status == 200
    (line,) = [record.getMessage() for record in caplog.records if record.name == "viaduct.access"]
    assert line.startswith("POST /api/v1/ingest/*** 200 ")
    assert token not in caplog.text
    assert "klaviyo-demo" not in caplog.text


def test_an_error_report_shows_no_key(rf):
    request = rf.post("/api/v1/events", HTTP_AUTHORIZATION="Bearer vk_secret", HTTP_X_API_KEY="vk_secret")
    assert "vk_secret" not in repr(get_exception_reporter_filter(request).get_safe_request_meta(request))


def test_a_path_of_odd_bytes_is_not_there():
    assert call("POST", "/api/v1/ingest/\xff\xfe").status == 404
    assert call("POST", "/api/v1/ingest/\udcff").status == 404
