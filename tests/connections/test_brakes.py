"""Guessing is slowed, from one place and about one person, and nobody is shut out by their name alone."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

from connections import brakes
from connections.models import Knock
from connections.remote import remote_network
from tests.webhooks_log.shop import merchant, person
from webhooks_log import purge

pytestmark = pytest.mark.django_db
LOGIN = reverse("admin:login")
OFFICE, HOME = "203.0.113.7", "198.51.100.9"
TOO_MANY = "Too many wrong passwords"


@pytest.fixture
def olga() -> Any:
    return person(merchant(), "owner")


def sign_in(name: str, password: str, place: str, **more: str) -> Any:
    """A try from a browser of its own."""
    return Client(REMOTE_ADDR=place, **more).post(LOGIN, {"username": name, "password": password})


def is_in(answer: Any) -> bool:
    return answer.status_code == 302


def guess_names(place: str) -> None:
    for number in range(brakes.SIGN_IN_FROM.most):
        sign_in(f"name{number}", "wrong", place)


def guess_at(name: str) -> None:
    for number in range(brakes.SIGN_IN_AS.most):
        sign_in(name, "wrong", f"192.0.2.{number}")


def test_who_tries_many_names_from_one_place_is_slowed(olga) -> None:
    guess_names(OFFICE)
    assert TOO_MANY in sign_in(olga.username, "secret", OFFICE).content.decode()
    assert is_in(sign_in(olga.username, "secret", HOME))


def test_who_tries_one_name_from_many_places_is_slowed(olga) -> None:
    guess_at(olga.username)
    assert TOO_MANY in sign_in(olga.username, "secret", HOME).content.decode()


def test_nobody_is_shut_out_where_they_signed_in_before(olga) -> None:
    assert is_in(sign_in(olga.username, "secret", HOME))
    guess_at(olga.username)
    assert is_in(sign_in(olga.username, "secret", HOME))
    assert not is_in(sign_in(olga.username, "wrong", HOME))


def test_a_quarter_of_an_hour_later_it_is_forgotten(olga) -> None:
    guess_at(olga.username)
    Knock.objects.update(at=timezone.now() - timedelta(minutes=16))
    assert is_in(sign_in(olga.username, "secret", HOME))


def test_behind_a_proxy_people_are_told_apart(olga, settings) -> None:
    settings.BEHIND_PROXY = True
    for _ in range(settings.AXES_FAILURE_LIMIT + 1):
        sign_in(olga.username, "wrong", "10.0.0.1", HTTP_X_FORWARDED_FOR=f"{HOME}, {OFFICE}")
    assert not is_in(sign_in(olga.username, "secret", "10.0.0.1", HTTP_X_FORWARDED_FOR=OFFICE))
    assert is_in(sign_in(olga.username, "secret", "10.0.0.1", HTTP_X_FORWARDED_FOR=HOME))


def test_neither_names_nor_addresses_are_kept_and_tries_not_for_long(olga) -> None:
    sign_in(olga.username, "wrong", HOME)
    told = str(list(Knock.objects.values()))
    assert olga.username not in told
    assert HOME not in told
    purge.small_things(timezone.now() + timedelta(hours=2))
    assert not Knock.objects.exists()


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("203.0.113.7", "203.0.113.7"), ("::ffff:203.0.113.7", "203.0.113.7"), ("unix", "unix"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
    ],
)  # fmt: skip
def test_a_subscriber_with_many_addresses_is_one(address, counted_as) -> None:
    assert remote_network(RequestFactory().get("/", REMOTE_ADDR=address)) == counted_as


# ── A forgotten password ─────────────────────────────────────────────────────────────────────────────────────────────
def ask(email: str, place: str = HOME) -> Any:
    return Client(REMOTE_ADDR=place).post(reverse("admin_password_reset"), {"email": email})


def test_a_mailbox_is_not_filled_with_links(olga) -> None:
    get_user_model().objects.filter(pk=olga.pk).update(email="olga@shop.example")
    answers = {ask("olga@shop.example", f"192.0.2.{number}").url for number in range(10)}
    assert len(mail.outbox) == brakes.PASSWORD_MAIL_TO.most
    assert answers == {reverse("password_reset_done")}


def test_one_place_does_not_make_us_write_to_everybody() -> None:
    for number in range(30):
        user = person()
        get_user_model().objects.filter(pk=user.pk).update(email=f"p{number}@shop.example")
        ask(f"p{number}@shop.example")
    assert len(mail.outbox) == brakes.PASSWORD_MAIL_FROM.most


# ── The second factor ────────────────────────────────────────────────────────────────────────────────────────────────
def test_guessing_codes_is_slowed_more_with_each_wrong_one(olga, client) -> None:
    device = TOTPDevice.objects.create(user=olga, confirmed=True)
    client.force_login(olga, backend="django.contrib.auth.backends.ModelBackend")
    check = reverse("admin:two_factor_check")
    for _ in range(5):
        client.post(check, {"code": "000000"})
    right = {"code": f"{totp(device.bin_key):06d}"}
    assert client.post(check, right).status_code == 200
    device.refresh_from_db()
    TOTPDevice.objects.update(throttling_failure_timestamp=timezone.now() - timedelta(minutes=1))
    assert client.post(check, {"code": f"{totp(device.bin_key):06d}"}).status_code == 302
