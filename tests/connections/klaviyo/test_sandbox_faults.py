"""Troubles to order: each kind, whom it strikes, and what of the call is stored all the same."""

import time

import pytest
import requests

from connections.klaviyo.sandbox.accounts import FULL_KEY, OTHER_ACCOUNT_KEY
from tests.connections.klaviyo.calls import EMAIL, bulk, call, import_profile, post_event
from tests.twin import Twin


def test_so_many_calls_fail_and_store_nothing(twin: Twin) -> None:
    twin.fault(status=500, count=2)
    assert [post_event(twin).status_code for _ in range(3)] == [500, 500, 202]
    assert [row["duplicates"] for row in twin.events()] == [0]


def test_faults_queue_up_in_order(twin: Twin) -> None:
    twin.fault(status=503)
    twin.fault(status=502, html=True)
    answers = [post_event(twin) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 502, 202]
    assert answers[0].json()["errors"][0]["id"] == answers[0].headers["X-Klaviyo-Req-Id"]
    assert answers[1].text.startswith("<!DOCTYPE html>")


def test_a_count_of_zero_lasts_until_reset(twin: Twin) -> None:
    twin.fault(status=500, count=0)
    assert {post_event(twin).status_code for _ in range(5)} == {500}
    twin.reset()
    assert post_event(twin).status_code == 202


@pytest.mark.parametrize(
    "narrowed",
    [
        {"path": "/api/profile-import"},
        {"key": OTHER_ACCOUNT_KEY},
        {"account": "DemoB2"},
        {"metric": "Refunded Order"},
        {"unique_id": "7"},
        {"email": "other@shop.com"},
        {"method": "GET"},
    ],
)
def test_a_narrowed_fault_leaves_other_calls_alone(twin: Twin, narrowed: dict[str, str]) -> None:
    twin.fault(status=500, **narrowed)
    assert post_event(twin).status_code == 202
    assert len(twin.faults()) == 1


@pytest.mark.parametrize(
    "narrowed",
    [
        {"path": "/api/events/"},
        {"key": FULL_KEY},
        {"account": "DemoA1"},
        {"metric": "Placed Order"},
        {"unique_id": "1668"},
        {"email": EMAIL, "method": "POST"},
    ],
)
def test_a_narrowed_fault_strikes_whom_it_names(twin: Twin, narrowed: dict[str, str]) -> None:
    twin.fault(status=500, **narrowed)
    assert post_event(twin).status_code == 500
    assert twin.faults() == []


def test_a_fault_finds_an_event_inside_a_job_and_a_profile(twin: Twin) -> None:
    twin.fault(status=500, unique_id="2", email="b@shop.com")
    job = bulk(({"email": EMAIL}, [{"unique_id": "1"}]), ({"email": "b@shop.com"}, [{"unique_id": "2"}]))
    assert call(twin, "POST", "/api/event-bulk-create-jobs", job).status_code == 500
    twin.fault(status=500, email=EMAIL)
    assert import_profile(twin).status_code == 500


def test_retry_after_is_sent_as_ordered(twin: Twin) -> None:
    twin.fault(status=429)
    twin.fault(retry_after=7)
    twin.fault(status=503, retry_after="Wed, 21 Oct 2026 07:28:00 GMT")
    twin.fault(status=429, retry_after=1.5)
    answers = [post_event(twin) for _ in range(4)]
    assert [(answer.status_code, answer.headers["Retry-After"]) for answer in answers] == [
        (429, "1"),
        (429, "7"),
        (503, "Wed, 21 Oct 2026 07:28:00 GMT"),
        (429, "1.5"),
    ]
    assert answers[1].json()["errors"][0]["code"] == "throttled"


def test_bot_protection_is_a_403_page(twin: Twin) -> None:
    twin.fault(html=True)
    answer = post_event(twin)
    assert (answer.status_code, answer.headers["cf-mitigated"]) == (403, "challenge")
    assert answer.headers["Content-Type"].startswith("text/html")


def test_a_fault_can_say_exactly_what_is_said(twin: Twin) -> None:
    twin.fault(
        status=400, code="invalid", detail="No.", pointer="/data/attributes/phone_number", headers={"X-More": "1"}
    )
    answer = post_event(twin)
    error = answer.json()["errors"][0]
    assert (error["code"], error["detail"], error["source"]["pointer"], answer.headers["X-More"]) == (
        "invalid",
        "No.",
        "/data/attributes/phone_number",
        "1",
    )


def test_a_redirect_points_elsewhere(twin: Twin) -> None:
    twin.fault(redirect="http://127.0.0.1:9/elsewhere", status=307)
    answer = post_event(twin)
    assert (answer.status_code, answer.headers["Location"]) == (307, "http://127.0.0.1:9/elsewhere")


@pytest.mark.parametrize(("drop", "stored"), [("before", 0), ("after", 1)])
def test_a_dropped_connection_has_stored_or_not(twin: Twin, drop: str, stored: int) -> None:
    twin.fault(drop=drop)
    with pytest.raises(requests.ConnectionError):
        post_event(twin)
    assert len(twin.events()) == stored
    assert twin.requests()[-1]["status"] is None


def test_a_late_answer_was_stored_before_it_was_given(twin: Twin) -> None:
    twin.fault(delay_ms=5_000)
    body = {"timeout": 0.1}
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{twin.url}/api/profile-import", headers=_headers(), json=_profile(), **body)
    assert len(twin.profiles()) == 1


def test_an_answer_can_be_late(twin: Twin) -> None:
    twin.fault(delay_ms=80)
    began = time.monotonic()
    assert post_event(twin).status_code == 202
    assert time.monotonic() - began >= 0.08


def test_a_failure_can_store_all_the_same(twin: Twin) -> None:
    twin.fault(status=500, store=True)
    assert post_event(twin).status_code == 500
    assert len(twin.events()) == 1


@pytest.mark.parametrize("truncate", [True, 5, 0])
def test_an_answer_is_cut_off(twin: Twin, truncate: bool | int) -> None:
    twin.fault(truncate=truncate)
    with pytest.raises(requests.RequestException):
        call(twin, "GET", "/api/accounts")


def test_an_endless_answer_never_stops(twin: Twin) -> None:
    twin.fault(endless=True)
    with requests.get(f"{twin.url}/api/accounts", headers=_headers(), stream=True, timeout=5) as answer:
        pieces = answer.iter_content(100_000)
        assert sum(len(next(pieces)) for _ in range(10)) > 500_000
    assert post_event(twin).status_code == 202


def test_a_dripping_answer_beats_a_timeout_between_bytes(twin: Twin) -> None:
    twin.fault(drip_ms=1, path="/api/lists")
    began = time.monotonic()
    answer = requests.get(f"{twin.url}/api/lists?page[size]=1", headers=_headers(), timeout=0.5)
    assert answer.status_code == 200
    assert time.monotonic() - began > 0.5


def test_what_is_no_http_can_be_answered(twin: Twin) -> None:
    twin.fault(raw="SSH-2.0-OpenSSH_9.2\r\n\r\n")
    with pytest.raises(requests.ConnectionError):
        post_event(twin)


@pytest.mark.parametrize("order", [{"stauts": 500}, {"drop": "never"}, {"count": -1}, [7]])
def test_an_order_nobody_understands_is_refused(twin: Twin, order: object) -> None:
    answer = requests.post(f"{twin.url}/_sandbox/faults", json=order, timeout=5)
    assert answer.status_code == 400
    assert twin.faults() == []


def _headers() -> dict[str, str]:
    return {"Authorization": f"Klaviyo-API-Key {FULL_KEY}", "revision": "2026-10-15"}


def _profile() -> dict[str, object]:
    return {"data": {"type": "profile", "attributes": {"email": EMAIL}}}
