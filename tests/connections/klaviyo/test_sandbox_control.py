"""The control plane: what came, what was recorded, the switches, the page, and memory that stays bounded."""

import base64
import time

import pytest
import requests

from connections.klaviyo.sandbox.accounts import FULL_KEY
from tests.connections.klaviyo.calls import EMAIL, call, event, post_event
from tests.twin import Twin


def test_a_call_is_kept_as_it_came(twin: Twin) -> None:
    before = (time.time(), time.monotonic())
    call(twin, "POST", "/api/events/?x=1", '{"data": "é"}'.encode(), X_Odd="Spelled So")
    (row,) = twin.requests()
    assert (row["method"], row["path"], row["query"], row["status"]) == ("POST", "/api/events/", "x=1", 400)
    assert (row["account"], row["headers"]["X-Odd"]) == ("DemoA1", "Spelled So")
    assert row["headers"]["Authorization"] == f"Klaviyo-API-Key {FULL_KEY}"
    assert base64.b64decode(row["body_base64"]) == row["body"].encode() == '{"data": "é"}'.encode()
    assert before[0] <= row["at_epoch"] <= time.time()
    assert before[1] <= row["at_monotonic"] <= time.monotonic()
    assert row["answer_headers"]["Cid"] == "DemoA1"


def test_what_is_no_text_is_kept_to_the_byte(twin: Twin) -> None:
    body = bytes(range(256))
    call(twin, "POST", "/api/events", body)
    assert base64.b64decode(twin.requests()[0]["body_base64"]) == body


def test_a_call_with_an_unknown_key_belongs_to_nobody(twin: Twin) -> None:
    post_event(twin, key="pk_nobody0000000000000")
    assert [(row["account"], row["status"]) for row in twin.requests()] == [(None, 401)]


def test_lists_are_narrowed_by_account_and_moment(twin: Twin) -> None:
    post_event(twin, key=twin.key("Abc123"))
    twin.events()
    since = twin.requests()[-1]["at"]
    post_event(twin, key=twin.key("Xyz789"))
    assert [row["account"] for row in twin.events()] == ["Abc123", "Xyz789"]
    assert [row["account"] for row in twin.events(account="Xyz789")] == ["Xyz789"]
    assert [row["account"] for row in twin.requests(account="Abc123")] == ["Abc123"]
    assert len(twin.requests(since=since)) == 2
    assert [row["account"] for row in twin.requests(since=since, limit=1)] == ["Xyz789"]
    assert twin.events(since=time.time() + 60) == []
    assert [row["account"] for row in twin.requests(after=twin.requests()[0]["seq"])] == ["Xyz789"]


def test_of_many_rows_a_few_fields_are_enough(twin: Twin) -> None:
    post_event(twin, key=twin.key("Abc123"))
    assert twin.requests(only="status,account,nothing") == [{"status": 202, "account": "Abc123"}]


def test_the_calls_kept_are_bounded_by_number_and_bytes(twin: Twin) -> None:
    twin.settings(keep_requests=3)
    for number in range(5):
        post_event(twin, unique_id=str(number))
    assert len(twin.requests()) == 3
    assert twin.state()["answers"] == {"202": 5}
    twin.settings(keep_request_bytes=1_000)
    post_event(twin, unique_id="6")
    assert len(twin.requests()) == 1


def test_events_beyond_the_bytes_keep_their_ids(twin: Twin) -> None:
    twin.settings(keep_event_bytes=600)
    for number in range(5):
        post_event(twin, unique_id=str(number))
    rows = twin.events()
    assert [row["unique_id"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert (rows[0]["properties"], rows[4]["properties"]) == (None, {"OrderId": "1253"})


def test_events_beyond_the_number_are_forgotten_and_counted(twin: Twin) -> None:
    twin.settings(keep_events=2)
    for number in range(5):
        post_event(twin, unique_id=str(number))
    assert [row["unique_id"] for row in twin.events()] == ["3", "4"]
    assert twin.state()["forgotten_events"] == 3


def test_profiles_are_bounded(twin: Twin) -> None:
    twin.settings(keep_profiles=2)
    for number in range(4):
        post_event(twin, email=f"p{number}@shop.com")
    assert [row["email"] for row in twin.profiles()] == ["p2@shop.com", "p3@shop.com"]


def test_keeping_calls_can_be_switched_off(twin: Twin) -> None:
    twin.settings(store_requests=False)
    post_event(twin)
    assert twin.requests() == []
    assert twin.state()["accounts"]["DemoA1"] == {"events": 1, "profiles": 1, "duplicates": 0, "dropped": 0}


def test_latency_and_jitter_hold_every_answer_back(twin: Twin) -> None:
    twin.settings(latency_ms=60, jitter_ms=5, arrival_jitter_ms=5)
    began = time.monotonic()
    post_event(twin)
    assert time.monotonic() - began >= 0.06


@pytest.mark.parametrize(
    "changes",
    [
        {"nothing": 1},
        {"phone_mode": "maybe"},
        {"phone_mode": {"lists": "reject"}},
        {"latency_ms": -1},
        {"latency_ms": "slow"},
        {"store_requests": 1},
        {"keep_requests": True},
        [],
    ],
)
def test_a_switch_nobody_knows_changes_nothing(twin: Twin, changes: object) -> None:
    before = twin.settings()
    assert requests.post(f"{twin.url}/_sandbox/settings", json=changes, timeout=5).status_code == 400
    assert twin.settings() == before


def test_a_reset_leaves_nothing_behind(twin: Twin) -> None:
    fresh = twin.settings()
    post_event(twin)
    twin.fault(status=500)
    twin.settings(latency_ms=1, phone_mode="partial", phase=0.5)
    twin.reset()
    assert (twin.requests(), twin.events(), twin.profiles(), twin.faults()) == ([], [], [], [])
    assert twin.settings() == fresh
    assert twin.state()["accounts"] == {}


def test_the_page_shows_what_arrived_and_no_key(twin: Twin) -> None:
    post_event(twin, metric="Placed <Order>")
    call(twin, "POST", "/api/events", event(value="1"))
    page = requests.get(twin.url, timeout=5)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Placed &lt;Order&gt;" in page.text
    assert EMAIL in page.text
    assert FULL_KEY not in page.text
    assert "http://" not in page.text.replace("http://127.0.0.1", "")


def test_the_page_is_there_before_anything_arrived(twin: Twin) -> None:
    assert "Nothing yet." in requests.get(f"{twin.url}/", timeout=5).text


def test_an_unknown_control_lists_what_there_is(twin: Twin) -> None:
    answer = requests.get(f"{twin.url}/_sandbox/nothing", timeout=5)
    assert answer.status_code == 404
    assert "GET /_sandbox/events" in answer.json()["there is"]
