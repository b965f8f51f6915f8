"""The doctor against the Klaviyo twin: what it says for every kind of key, account and answer."""

import time
from datetime import UTC, date, datetime, timedelta

import pytest

from connections import doctor, secrets, turns
from connections.klaviyo.budget import Budget
from connections.klaviyo.sandbox.accounts import DOCUMENTED_SCOPES_KEY, FULL_KEY, NO_EVENTS_KEY, REVOKED_KEY
from connections.models import Connection, KlaviyoAccount
from tests.webhooks_log.shop import connection, merchant

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
State = Connection.State


@pytest.fixture(autouse=True)
def at_the_twin(twin, settings):
    settings.KLAVIYO_BASE_URL = twin.url


def with_key(key: str, **more) -> Connection:
    return connection(merchant(), sealed_key=secrets.seal(key), key_hint=key[-4:], **more)


def outcomes(result) -> dict[str, str]:
    return {finding.scope: finding.outcome for finding in result.findings}


def test_a_key_with_the_documented_scopes_is_connected_without_accounts_read(twin):
    result = doctor.check(with_key(DOCUMENTED_SCOPES_KEY), now=NOW)
    assert result.state == State.CONNECTED
    assert outcomes(result)["accounts:read"] == "missing"


def test_writing_is_only_ever_probable(twin):
    found = outcomes(doctor.check(with_key(FULL_KEY)))
    assert (found["events:read"], found["events:write"]) == ("allowed", "probably allowed")


def test_a_check_changes_nothing_at_klaviyo(twin):
    doctor.check(with_key(FULL_KEY))
    assert twin.events() == []
    assert twin.profiles() == []


def test_the_account_is_learnt_from_the_answers(twin):
    one = with_key(DOCUMENTED_SCOPES_KEY)
    doctor.check(one)
    one.refresh_from_db()
    assert one.account.cid == "DemoA1"


def test_two_connections_of_one_account_share_its_lane_and_say_so(twin):
    one, other = with_key(twin.key("Same01")), with_key(twin.key("Same01", "documented"))
    Connection.objects.filter(pk=other.pk).update(merchant=one.merchant, name="Second")
    doctor.check(one)
    other.refresh_from_db()
    result = doctor.check(other)
    other.refresh_from_db()
    assert other.account.cid == "Same01"
    assert KlaviyoAccount.objects.filter(connections__in=(one, other)).distinct().count() == 1
    assert "same Klaviyo account" in result.remarks[0]


def test_a_refused_key_holds_the_connection_and_asks_nothing_more(twin):
    one = with_key(REVOKED_KEY)
    result = doctor.check(one, now=NOW)
    one.refresh_from_db()
    assert (one.state, one.held_at) == (State.KEY_REFUSED, NOW)
    assert list(outcomes(result).values()).count("not asked") == 6
    assert len(twin.requests()) == 1


def test_a_good_key_lifts_the_hold(twin):
    one = with_key(FULL_KEY, held_at=NOW, held_families=["events"], state=State.KEY_REFUSED)
    doctor.check(one)
    one.refresh_from_db()
    assert (one.state, one.held_at, one.held_families) == (State.CONNECTED, None, [])


def test_a_missing_scope_is_named_and_holds_only_its_calls(twin):
    one = with_key(NO_EVENTS_KEY)
    result = doctor.check(one)
    one.refresh_from_db()
    assert one.state == State.SCOPE_MISSING
    assert "events:read, events:write" in result.sentence
    assert (one.held_at, one.held_families) == (None, ["events"])


def test_silence_judges_no_key_and_is_asked_again_soon(twin, settings):
    settings.KLAVIYO_BASE_URL = "http://127.0.0.1:9"
    one = with_key(FULL_KEY, held_at=NOW)
    doctor.check(one, now=NOW)
    one.refresh_from_db()
    assert (one.state, one.held_at) == (State.UNREACHABLE, NOW)
    assert one.check_due_at == NOW + timedelta(minutes=5)


def test_a_limit_used_up_says_nothing_against_a_key_that_worked(twin):
    one = with_key(FULL_KEY)
    doctor.check(one)
    twin.fault(status=429, count=5)
    one.refresh_from_db()
    assert doctor.check(one).state == State.CONNECTED


def test_a_web_page_instead_of_an_answer_is_the_edge_not_the_key(twin):
    twin.fault(status=403, html=True)
    one = with_key(FULL_KEY)
    assert doctor.check(one).state == State.EDGE_BLOCKED
    one.refresh_from_db()
    assert one.held_at is None


def test_a_key_of_another_account_holds_and_changes_nothing(twin):
    one = with_key(FULL_KEY)
    doctor.check(one)
    Connection.objects.filter(pk=one.pk).update(sealed_key=secrets.seal(twin.key("Other1")))
    one.refresh_from_db()
    result = doctor.check(one, now=NOW)
    one.refresh_from_db()
    assert (one.state, one.account.cid, one.held_at) == (State.WRONG_ACCOUNT, "DemoA1", NOW)
    assert "Other1" in result.sentence


def test_a_key_that_cannot_be_opened_is_a_state_not_a_crash(twin):
    one = with_key(FULL_KEY)
    Connection.objects.filter(pk=one.pk).update(sealed_key=b"sealed under a key that is gone")
    one.refresh_from_db()
    assert doctor.check(one).state == State.KEY_LOST
    assert twin.requests() == []


def test_a_public_key_of_another_account_is_remarked(twin):
    result = doctor.check(with_key(FULL_KEY, public_key="Zzz999"))
    assert result.state == State.CONNECTED
    assert "Zzz999" in result.remarks[0]


def test_the_revisions_retirement_is_watched(twin):
    one = with_key(FULL_KEY)
    early, late = doctor.check(one, now=NOW), doctor.check(one, now=datetime(2028, 9, 1, tzinfo=UTC))
    one.refresh_from_db()
    assert one.revision_retires_on == date(2028, 10, 15)
    assert not early.remarks
    assert "October 15, 2028" in late.remarks[0]


def test_the_row_keeps_the_result_for_the_page_and_no_key(twin):
    one = with_key(FULL_KEY)
    doctor.check(one, now=NOW)
    one.refresh_from_db()
    assert one.checked_at == NOW
    assert one.check_due_at == NOW + timedelta(hours=1)
    assert one.check_result["findings"][0]["scope"] == "events:read"
    assert FULL_KEY not in str(one.check_result)


def test_what_is_due_is_asked_for_once():
    Connection.objects.all().delete()
    connection(merchant(), check_due_at=NOW - timedelta(seconds=1))
    connection(merchant(), check_due_at=NOW + timedelta(seconds=1))
    connection(merchant(), check_due_at=NOW, is_active=False)
    assert doctor.recheck_due(NOW) == 1
    assert doctor.recheck_due(NOW) == 0


def test_the_calls_are_counted_in_the_accounts_budget(twin):
    one = with_key(FULL_KEY)
    doctor.check(one)
    one.account.refresh_from_db()
    used = Budget(one.account.budget, now=time.time()).used("events", time.time())
    assert used[60] == (2, 3500)
    assert one.account.leased_until is None


def test_a_lane_that_is_sending_keeps_its_lease(twin):
    one = with_key(FULL_KEY)
    turn = turns.take(KlaviyoAccount, one.account_id, holder="lane", seconds=60)
    assert doctor.check(one).state == State.CONNECTED
    assert turns.held(turn).exists()
