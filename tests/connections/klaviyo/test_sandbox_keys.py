"""Who may call, with which scopes and which revision, as recorded of the real service."""

import re

import pytest

from connections.klaviyo.sandbox import accounts
from connections.klaviyo.sandbox.accounts import (
    DEMO_ACCOUNT,
    DEMO_KEYS,
    DOCUMENTED_SCOPES_KEY,
    FULL_KEY,
    NO_EVENTS_KEY,
    OTHER_ACCOUNT_KEY,
    PROFILES_ONLY_KEY,
    REVOKED_KEY,
    SECOND_FULL_KEY,
)
from tests.connections.klaviyo.calls import call, event, post_event
from tests.twin import Twin


def test_every_demo_key_has_the_shape_of_a_private_key() -> None:
    assert all(re.fullmatch(r"pk_[A-Za-z0-9]{34}", key) for key in DEMO_KEYS)
    assert len(DEMO_KEYS) == 7


def test_a_made_key_names_its_account_and_its_kind() -> None:
    key = accounts.known_key("pk_sandbox_Abc123_readonly_no7")
    assert key == accounts.Key("Abc123", accounts.KINDS["readonly"])


def test_a_key_nobody_made_draws_the_recorded_answer(twin: Twin) -> None:
    answer = post_event(twin, key="pk_nobodyknowsthiskey00000")
    assert answer.status_code == 401
    error = answer.json()["errors"][0]
    assert error.pop("id") == answer.headers["X-Klaviyo-Req-Id"]
    assert error == {
        "status": 401,
        "code": "not_authenticated",
        "title": "Authentication credentials were not provided.",
        "detail": "Missing or invalid private key.",
        "source": {"pointer": "/data/"},
        "links": {},
        "meta": {},
    }


def test_a_refused_key_learns_neither_account_nor_limits(twin: Twin) -> None:
    headers = post_event(twin, key="AbC123").headers
    assert headers["WWW-Authenticate"] == "Bearer, Klaviyo-API-Key"
    assert not {"Cid", "RateLimit-Limit", "X-Klaviyo-Api-Revision"} & set(headers)


@pytest.mark.parametrize("authorization", [None, f"Bearer {FULL_KEY}", FULL_KEY])
def test_another_scheme_is_named(twin: Twin, authorization: str | None) -> None:
    answer = call(twin, "GET", "/api/lists", Authorization=authorization)
    assert answer.status_code == 401
    detail = "Missing or invalid authorization scheme. Please use Klaviyo-API-Key."
    assert answer.json()["errors"][0]["detail"] == detail


def test_a_revoked_key_has_its_own_code(twin: Twin) -> None:
    answer = post_event(twin, key=REVOKED_KEY)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, "authentication_failed")


@pytest.mark.parametrize(
    ("key", "method", "path", "scope"),
    [
        (NO_EVENTS_KEY, "POST", "/api/events", "events:write"),
        (NO_EVENTS_KEY, "GET", "/api/events", "events:read"),
        (NO_EVENTS_KEY, "POST", "/api/event-bulk-create-jobs", "events:write"),
        (PROFILES_ONLY_KEY, "GET", "/api/lists", "lists:read"),
        (PROFILES_ONLY_KEY, "GET", "/api/metrics", "metrics:read"),
        (DOCUMENTED_SCOPES_KEY, "GET", "/api/accounts", "accounts:read"),
        (DOCUMENTED_SCOPES_KEY, "POST", "/api/data-privacy-deletion-jobs", "data-privacy:write"),
        ("pk_sandbox_Abc123_readonly", "POST", "/api/profile-import", "profiles:write"),
    ],
)
def test_a_missing_scope_is_named_before_the_body_is_read(
    twin: Twin, key: str, method: str, path: str, scope: str
) -> None:
    answer = call(twin, method, path, {} if method == "POST" else None, key)
    assert answer.status_code == 403
    error = answer.json()["errors"][0]
    assert (error["code"], error["detail"]) == (
        "permission_denied",
        f"Your API key is missing required scopes: {scope}",
    )
    assert "Cid" in answer.headers


def test_an_empty_post_with_the_scope_is_a_400_and_stores_nothing(twin: Twin) -> None:
    assert call(twin, "POST", "/api/events", {}).status_code == 400
    assert twin.events() == []


@pytest.mark.parametrize("key", [FULL_KEY, SECOND_FULL_KEY, DOCUMENTED_SCOPES_KEY])
def test_keys_of_one_account_answer_with_one_cid(twin: Twin, key: str) -> None:
    assert call(twin, "GET", "/api/lists", key=key).headers["Cid"] == DEMO_ACCOUNT


def test_another_account_sees_nothing_of_the_first(twin: Twin) -> None:
    post_event(twin)
    twin.events()
    assert call(twin, "GET", "/api/events", key=OTHER_ACCOUNT_KEY).json()["data"] == []
    assert [row["account"] for row in twin.events()] == [DEMO_ACCOUNT]


def test_a_key_can_be_revoked_and_mended_while_running(twin: Twin) -> None:
    twin.settings(revoked_keys=[FULL_KEY])
    assert post_event(twin).status_code == 401
    twin.settings(revoked_keys=[], key_scopes={FULL_KEY: ["lists:read"]})
    assert post_event(twin).status_code == 403
    twin.settings(key_scopes={})
    assert post_event(twin).status_code == 202


@pytest.mark.parametrize(
    ("asked", "status", "served"),
    [
        ("2026-10-15", 202, "2026-10-15"),
        ("2026-07-15", 202, "2026-07-15"),
        ("2026-09-01", 202, "2026-07-15"),
        ("2026-10-15.pre", 202, "2026-10-15"),
        ("2023-02-22", 202, "2025-01-15"),
        ("2027-01-15", 400, None),
        ("v3", 400, None),
        (None, 400, None),
    ],
)
def test_the_revision_decides_what_is_served(twin: Twin, asked: str | None, status: int, served: str | None) -> None:
    answer = call(twin, "POST", "/api/events", event(), revision=asked)
    assert (answer.status_code, answer.headers.get("X-Klaviyo-Api-Revision")) == (status, served)
    assert answer.headers["Cid"] == DEMO_ACCOUNT


def test_a_revision_lives_two_years(twin: Twin) -> None:
    assert post_event(twin).headers["X-Klaviyo-Api-Retirement-Date"] == "2028-10-15"


def test_who_opts_out_of_falling_forward_is_told_that_it_is_retired(twin: Twin) -> None:
    opted = {"revision": "2023-02-22", "X_Klaviyo_Revision_Fall_Forward_Opt_Out": "1"}
    assert call(twin, "POST", "/api/events", event(), **opted).status_code == 410
