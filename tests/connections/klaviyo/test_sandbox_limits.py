"""Fixed windows of one second and sixty, per account and endpoint family, wherever they start."""

import json
import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connections.klaviyo.sandbox.accounts import FULL_KEY, OTHER_ACCOUNT_KEY, SECOND_FULL_KEY
from connections.klaviyo.sandbox.answers import Answer
from connections.klaviyo.sandbox.limits import LIMITS, Limits
from connections.klaviyo.sandbox.requests import Request
from connections.klaviyo.sandbox.twin import Twin as Sandbox
from tests.connections.klaviyo.calls import call, import_profile, post_event, profile
from tests.twin import Twin

FAMILIES = st.sampled_from(sorted(LIMITS))
PHASES = st.floats(0, 60)


def admitted(limits: Limits, family: str, moments: list[float]) -> list[float]:
    return [now for now in moments if limits.admit("Abc123", family, now).retry_after is None]


@given(
    family=FAMILIES, phase=PHASES, gaps=st.lists(st.floats(0, 0.9), min_size=1, max_size=80), crowd=st.integers(1, 9)
)
def test_no_window_ever_admits_more_than_its_limit(family: str, phase: float, gaps: list[float], crowd: int) -> None:
    burst, steady = LIMITS[family]
    now, moments = 1000.0, []
    for gap in gaps:
        now += gap
        moments += [now] * crowd * (burst // 10 + 1)
    taken = admitted(Limits(phase=phase), family, moments)
    for width, limit in ((1, burst), (60, steady)):
        windows = Counter(math.floor((moment - phase) / width) for moment in taken)
        assert max(windows.values()) <= limit


@given(family=FAMILIES, phase=PHASES, start=st.floats(0, 1e6))
def test_the_limit_itself_is_admitted_and_the_next_call_is_not(family: str, phase: float, start: float) -> None:
    limits, burst = Limits(phase=phase), LIMITS[family][0]
    middle = math.floor(start - phase) + phase + 0.5
    assert len(admitted(limits, family, [middle] * (burst + 1))) == burst


@given(phase=PHASES, late=st.floats(0, 59), family=FAMILIES)
def test_who_waits_as_long_as_told_is_let_in(phase: float, late: float, family: str) -> None:
    limits, now = Limits(phase=phase), 600 + phase + late
    while (standing := limits.admit("Abc123", family, now)).retry_after is None:
        now += 0.001
    assert 1 <= standing.retry_after <= 60
    assert limits.admit("Abc123", family, now + standing.retry_after).retry_after is None


def test_a_refused_call_does_not_count() -> None:
    limits = Limits(phase=0.0)
    assert len(admitted(limits, "accounts", [0.1] * 50)) == 1
    assert len(admitted(limits, "accounts", [second + 0.1 for second in range(1, 60)])) == 14


def test_phases_that_are_drawn_differ_between_accounts() -> None:
    limits = Limits(chance=random.Random(7))
    steady = {limits.admit(f"Abc12{number}", "events", 0.0).steady.phase for number in range(5)}
    assert len(steady) == 5
    assert all(0 <= phase < 60 for phase in steady)


def test_an_answer_carries_the_documented_headers(twin: Twin) -> None:
    headers = post_event(twin).headers
    assert headers["RateLimit-Limit"] == "350, 350;w=1, 3500;w=60"
    assert (headers["RateLimit-Remaining"], headers["RateLimit-Reset"]) == ("349", "0")
    assert call(twin, "GET", "/api/lists").headers["RateLimit-Limit"] == "75, 75;w=1, 750;w=60"
    assert import_profile(twin).headers["RateLimit-Limit"] == "75, 75;w=1, 750;w=60"


def test_the_headers_can_describe_the_steady_window_as_in_2023(twin: Twin) -> None:
    twin.settings(rate_headers="steady")
    headers = import_profile(twin).headers
    assert headers["RateLimit-Limit"] == "750, 75;w=1, 750;w=60"
    assert headers["RateLimit-Remaining"] == "749"
    assert 0 <= int(headers["RateLimit-Reset"]) < 60


class Still:
    """A sandbox in this process whose clock stands still."""

    def __init__(self) -> None:
        self.sandbox = Sandbox(now=lambda: 1000.5)
        self.sandbox.change({"phase": 0.0})

    def ask(self, method: str, path: str, key: str = FULL_KEY, body: bytes = b"") -> Answer:
        headers = {"authorization": f"Klaviyo-API-Key {key}", "revision": "2026-10-15"}
        headers["content-type"] = "application/json"
        return self.sandbox.answer(Request(method, path, headers, body, b"", 0.0, 0.0))


@pytest.fixture
def still() -> Still:
    return Still()


def test_a_throttled_answer_has_retry_after_instead(still: Still) -> None:
    assert still.ask("GET", "/api/accounts").status == 200
    answer = still.ask("GET", "/api/accounts")
    assert (answer.status, answer.headers["Retry-After"], answer.headers["Cid"]) == (429, "1", "DemoA1")
    assert not any(name.startswith("RateLimit") for name in answer.headers)
    (error,) = json.loads(answer.body)["errors"]
    assert (error["code"], error["title"]) == ("throttled", "Request was throttled.")
    assert error["detail"] == "Request was throttled. Expected available in 1 second."
    assert (error["source"], error["links"]["type"][:8]) == ({"pointer": "/data"}, "https://")


def test_the_keys_of_an_account_share_its_windows_and_no_others_do(still: Still) -> None:
    keys = (FULL_KEY, SECOND_FULL_KEY, OTHER_ACCOUNT_KEY)
    assert [still.ask("GET", "/api/accounts", key).status for key in keys] == [200, 429, 200]


def test_one_family_throttled_leaves_the_others_alone(still: Still) -> None:
    paths = ("/api/accounts", "/api/accounts", "/api/lists")
    assert [still.ask("GET", path).status for path in paths] == [200, 429, 200]


def test_reading_and_writing_events_share_one_family(still: Still) -> None:
    still.ask("GET", "/api/events")
    assert still.ask("POST", "/api/events", body=b"{}").headers["RateLimit-Remaining"] == "348"


@pytest.mark.parametrize("key", ["pk_wrong000000000000000", "pk_sandbox_DemoA1_noevents"])
def test_a_refused_key_or_scope_uses_nothing_up(still: Still, key: str) -> None:
    still.ask("GET", "/api/events", key)
    assert still.ask("GET", "/api/events").headers["RateLimit-Remaining"] == "349"


def test_a_refused_body_uses_its_call_up(still: Still) -> None:
    assert still.ask("POST", "/api/events", body=b"{}").status == 400
    assert still.ask("GET", "/api/events").headers["RateLimit-Remaining"] == "348"


def test_350_events_a_second_pass_and_no_more(still: Still) -> None:
    statuses = [still.ask("POST", "/api/events", body=b"{}").status for _ in range(352)]
    assert statuses == [400] * 350 + [429] * 2


def test_limits_can_be_switched_off(twin: Twin) -> None:
    twin.settings(limits="off")
    assert {call(twin, "GET", "/api/accounts").status_code for _ in range(20)} == {200}


def test_profile_import_and_profiles_are_one_family(twin: Twin) -> None:
    import_profile(twin)
    answer = call(twin, "POST", "/api/profiles", profile(email="b@shop.com"))
    assert answer.headers["RateLimit-Limit"].startswith("75, ")
    assert twin.settings()["limits"] == "strict"
