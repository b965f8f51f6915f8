"""Who gets in, for how long, and what a stranger learns."""

import hmac

import pytest
import time_machine
from django.utils import timezone

from connections import keys
from connections.models import ApiKey
from events import auth
from events.models import Event
from tests.events.door import an_event, call, post, send

pytestmark = pytest.mark.django_db
NOON = "2026-03-02T17:00:00Z"


@pytest.fixture
def key(source):
    return keys.new_bearer(source, name="Vrio")


def test_a_key_is_taken_from_either_header(key):
    assert send(key[1], an_event()).status == 202
    assert post("/api/v1/events", an_event(), HTTP_X_API_KEY=key[1]).status == 200


def test_no_key_at_all_is_said_in_words():
    answer = post("/api/v1/events", an_event())
    assert (answer.status, answer.json["code"]) == (401, "key_missing")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("kind", ["address", "hmac"])
def test_a_secret_of_another_kind_is_no_api_key(source, kind):
    made = keys.new_address(source, name="x") if kind == "address" else keys.new_hmac(source, name="x", header="X-S")
    assert send(made[1], an_event()).status == 401


def test_an_api_key_is_no_address(key):
    assert post(f"/api/v1/ingest/{key[1]}", an_event()).status == 404


def test_keys_are_kept_as_hashes_and_secrets_sealed(source, key):
    address, token = keys.new_address(source, name="x")
    signing, secret = keys.new_hmac(source, name="x", header="X-S")
    kept = repr(list(ApiKey.objects.values()))
    assert not [clear for clear in (key[1], token, secret) if clear in kept]
    assert (address.hint, signing.hint) == (token[-4:], secret[-4:])


def test_a_revoked_key_is_out_as_soon_as_it_is_looked_up_again(key):
    assert send(key[1], an_event()).status == 202
    keys.revoke(key[0])
    auth.forget()
    assert send(key[1], an_event()).status == 401


def test_the_insert_itself_asks_once_more(key):
    """The look-up may be half a second old: the key is revoked behind its back."""
    assert send(key[1], an_event(1)).status == 202
    keys.revoke(key[0])
    answer = send(key[1], an_event(2))
    assert (answer.status, answer.json["code"]) == (401, "key_unknown")
    assert Event.objects.count() == 1


def test_a_rotated_key_is_valid_for_its_days_and_not_longer(key):
    with time_machine.travel(NOON, tick=False) as clock:
        fresh, clear = keys.rotate(key[0], days=7)
        clock.shift(6 * 86400)
        assert (send(key[1], an_event(1)).status, send(clear, an_event(2)).status) == (202, 202)
        clock.shift(2 * 86400)
        assert (send(key[1], an_event(3)).status, send(clear, an_event(4)).status) == (401, 202)
    assert (fresh.source, fresh.name) == (key[0].source, key[0].name)


def test_rotating_never_lengthens_the_old_key(key):
    with time_machine.travel(NOON, tick=False):
        keys.rotate(key[0], days=1)
        until = ApiKey.objects.get(pk=key[0].pk).valid_until
        keys.rotate(ApiKey.objects.get(pk=key[0].pk), days=90)
    assert ApiKey.objects.get(pk=key[0].pk).valid_until == until


def test_a_rotation_keeps_the_events_identity(key):
    send(key[1], an_event())
    _, clear = keys.rotate(key[0], days=7)
    assert send(clear, an_event()).json["results"][0]["status"] == "duplicate"


@pytest.mark.parametrize(
    ("allowed", "remote", "status"),
    [
        ("", "203.0.113.9", 202),
        ("203.0.113.9", "203.0.113.9", 202),
        ("203.0.113.0/24\n2001:db8::/32", "2001:db8::1", 202),
        ("203.0.113.0/24", "::ffff:203.0.113.7", 202),
        ("203.0.113.9", "203.0.113.10", 403),
        ("203.0.113.9", "not an address", 403),
    ],
)
def test_a_key_may_be_bound_to_addresses(source, allowed, remote, status):
    clear = keys.new_bearer(source, name="x", allowed_addresses=allowed)[1]
    assert send(clear, an_event(), REMOTE_ADDR=remote).status == status


def test_behind_a_proxy_its_word_counts_and_the_callers_does_not(source, settings):
    settings.BEHIND_PROXY = True
    clear = keys.new_bearer(source, name="x", allowed_addresses="203.0.113.9")[1]
    assert send(clear, an_event(1), HTTP_X_FORWARDED_FOR="198.51.100.1, 203.0.113.9").status == 202
    assert send(clear, an_event(2), HTTP_X_FORWARDED_FOR="203.0.113.9, 198.51.100.1").status == 403


def test_strangers_are_slowed_down_but_never_a_valid_key_beside_them(key):
    with time_machine.travel(NOON, tick=False):
        told = [call("POST", "/api/v1/ingest/guess").status for _ in range(auth.STRANGERS_PER_MINUTE + 1)]
        assert (told[0], told[-1]) == (404, 429)
        assert send("vk_wrong", an_event()).headers["Retry-After"] == "60"
        assert send(key[1], an_event()).status == 202


def test_a_proven_caller_is_not_limited_unless_it_is_set(key, settings):
    assert [send(key[1], an_event(n)).status for n in range(3)] == [202] * 3
    settings.INGEST_RATE_PER_MINUTE = 1
    with time_machine.travel(NOON, tick=False):
        assert send(key[1], an_event(8)).status == 202
        answer = send(key[1], an_event(9))
    assert (answer.status, answer.headers["Retry-After"]) == (429, "60")


def test_an_archived_source_lets_nobody_in(source, key):
    source.archived_at = timezone.now()
    source.save()
    assert send(key[1], an_event()).status == 401


def test_the_last_use_is_noted_once_a_minute(key):
    with time_machine.travel(NOON, tick=False) as clock:
        send(key[1], an_event(1))
        first = ApiKey.objects.get().last_used_at
        clock.shift(30)
        send(key[1], an_event(2))
        assert ApiKey.objects.get().last_used_at == first
        clock.shift(31)
        auth.forget()
        send(key[1], an_event(3))
        assert ApiKey.objects.get().last_used_at > first


def test_a_signature_of_the_rotated_secret_fits_the_old_address(source):
    """Vrio signs with one secret at a time: its URL field stays as it is."""
    old, _ = keys.new_hmac(source, name="v2", header="X-Signature")
    _, secret = keys.rotate(old, days=0)
    raw = b'{"webhook_type":"order","webhook_event":"order_updated","webhook_event_id":"7","webhook_data":{}}'
    signature = hmac.new(secret.encode(), raw, "sha256").hexdigest()
    assert post(f"/api/v1/signed/{old.public_id}", raw, HTTP_X_SIGNATURE=signature).status == 202


def test_what_is_remembered_is_bounded(source, monkeypatch):
    monkeypatch.setattr(auth, "MOST_REMEMBERED", 2)
    for number in range(4):
        send(keys.new_bearer(source, name="x")[1], an_event(number))
    assert len(auth._remembered) <= 2


def test_what_is_not_found_is_not_remembered(source):
    send("vk_later", an_event())
    keys.new_bearer(source, name="x", clear="vk_later")
    assert send("vk_later", an_event()).status == 202
