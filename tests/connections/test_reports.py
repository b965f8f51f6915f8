"""What an error report says when a page breaks in the middle of a key being entered."""

import sys

import pytest
from django.test import RequestFactory
from django.views.debug import ExceptionReporter

KEY = "pk_0123456789abcdef0123456789abcdef01"


def report(debug: bool, settings) -> str:
    settings.DEBUG = debug
    request = RequestFactory().post("/app/connections/add/", {"private_key": KEY, "name": "Klaviyo Production"})
    try:
        private_key = KEY
        raise RuntimeError("a fault, " + "while a key of %d letters was held" % len(private_key))  # noqa: UP031
    except RuntimeError:
        reporter = ExceptionReporter(request, *sys.exc_info())
    return reporter.get_traceback_html() + reporter.get_traceback_text()


@pytest.mark.parametrize("debug", [True, False])
def test_no_report_contains_the_key(debug, settings):
    text = report(debug, settings)
    assert KEY not in text
    assert "Klaviyo Production" in text


@pytest.mark.parametrize("debug", [True, False])
def test_no_report_contains_our_own_secrets(debug, settings):
    text = report(debug, settings)
    for secret in (settings.SECRET_KEY, settings.FIELD_KEYS[0], settings.FINGERPRINT_KEY):
        assert secret not in text
