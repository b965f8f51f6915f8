"""Sentry and OpenTelemetry: off by default, loud when asked for and not there, and told nothing about people."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import observing


def test_nothing_is_started_unless_it_is_named():
    observing.start()


@pytest.mark.parametrize(("name", "module"), [("SENTRY_DSN", "sentry_sdk"), ("OTEL_ENDPOINT", "trace")])
def test_a_missing_package_is_named(settings, monkeypatch, name, module):
    monkeypatch.setattr(observing, module, None)
    setattr(settings, name, "http://127.0.0.1:9")
    with pytest.raises(ImproperlyConfigured, match=name):
        observing.start()


def test_a_report_says_where_and_not_to_whom():
    event = {
        "request": {"url": "https://v.test/app/", "method": "POST", "data": "email=a@b.c", "query_string": "q=a@b.c"},
        "exception": {
            "values": [{"type": "KeyError", "value": "a@b.c", "stacktrace": {"frames": [{"vars": {"x": 1}}]}}]
        },
        "user": {"email": "a@b.c"},
        "breadcrumbs": {"values": ["a@b.c"]},
    }
    assert "a@b.c" not in str(observing.stripped(event, {}))
    assert event["exception"]["values"][0]["type"] == "KeyError"
