"""The API needs none of what pages need."""

import pytest

from tests.events.door import call

pytestmark = pytest.mark.django_db


def test_an_answer_of_the_api_says_how_long_it_is():
    answer = call("POST", "/api/v1/events", b"{}")
    assert answer.headers["Content-Length"] == str(len(answer.body))


def test_the_api_touches_neither_session_nor_cookies(django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = call("POST", "/api/v1/events", b"{}", HTTP_COOKIE="sessionid=abc; csrftoken=def")
    assert answer.status == 401
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_pages_take_the_long_way():
    assert "Content-Security-Policy" in call("GET", "/app/login/").headers
