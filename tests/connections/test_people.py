"""Invitations, places, password reset and the second factor."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.urls import reverse
from django.utils import timezone
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

from connections import people
from connections.models import AuditEntry, Invitation, Membership, Merchant
from tests.webhooks_log.shop import merchant, person, superuser

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"
PASSWORD = "a long and unusual one"


@pytest.fixture
def shop():
    return merchant()


@pytest.fixture
def olga(shop):
    return person(shop, "owner")


@pytest.fixture
def owner(client, olga):
    client.force_login(olga, backend=BACKEND)
    return client


def link_in(message) -> str:
    return re.search(r"http://testserver(\S+)", message.body)[1]


def invited(owner, shop, email="new@shop.example") -> str:
    owner.post(reverse("admin:invite"), {"merchant": shop.pk, "email": email, "role": "support"})
    return link_in(mail.outbox[-1])


def test_an_invited_person_makes_an_account_and_is_in(owner, shop, client):
    link = invited(owner, shop)
    client.logout()
    answer = client.post(link, {"first_name": "New", "last_name": "Person", "password": PASSWORD})
    assert answer.url == reverse("admin:index")
    place = Membership.objects.get(user__email="new@shop.example")
    assert (place.merchant, place.role, place.user.username) == (shop, "support", "new@shop.example")


def test_the_link_works_once(owner, shop, client):
    link = invited(owner, shop)
    client.post(link, {"first_name": "New", "last_name": "Person", "password": PASSWORD})
    assert client.get(link).status_code == 404


def test_the_link_runs_out(olga, shop):
    _, token = people.invite(shop, "new@shop.example", "support", olga)
    assert people.open_invitation(token) is not None
    assert people.open_invitation(token, timezone.now() + timedelta(days=8)) is None


def test_the_token_is_kept_as_a_keyed_hash_only(olga, shop):
    invitation, token = people.invite(shop, "new@shop.example", "support", olga)
    assert token not in str(Invitation.objects.filter(pk=invitation.pk).values())


def test_an_address_with_an_account_must_sign_in_as_that_person(owner, shop, client):
    known = person()
    get_user_model().objects.filter(pk=known.pk).update(email="known@shop.example")
    link = invited(owner, shop, "known@shop.example")
    client.post(link)  # still signed in as the owner who invited
    assert not known.memberships.exists()
    client.force_login(known, backend=BACKEND)
    client.post(link)
    assert known.memberships.get().merchant == shop


def test_a_weak_password_is_refused(owner, shop, client):
    answer = client.post(invited(owner, shop), {"first_name": "N", "last_name": "P", "password": "12345"})
    assert answer.status_code == 200
    assert not get_user_model().objects.filter(email="new@shop.example").exists()


def test_nobody_is_invited_to_anothers_merchant(owner):
    answer = owner.post(reverse("admin:invite"), {"merchant": merchant().pk, "email": "a@b.example", "role": "owner"})
    assert answer.status_code == 200
    assert not Invitation.objects.exists()


def test_the_last_owner_stays(olga, shop):
    place = olga.memberships.get()
    with pytest.raises(people.LastOwner):
        people.send_away(place, olga)
    with pytest.raises(people.LastOwner):
        people.change_place(place, role="support", sees_personal_data=True, by=olga)


def test_taking_a_place_away_bites_at_once(owner, shop, client):
    sam = person(shop)
    owner.post(reverse("admin:place_send_away", args=(sam.memberships.get().pk,)))
    client.force_login(sam, backend=BACKEND)
    assert client.get(reverse("admin:index")).status_code == 302


@pytest.mark.parametrize("name", ["place_change", "place_send_away"])
def test_anothers_people_are_not_found(owner, name):
    place = person(merchant(), "owner").memberships.get()
    assert owner.post(reverse(f"admin:{name}", args=(place.pk,)), {"role": "support"}).status_code == 404


def test_support_does_not_see_the_page_of_people(client, shop):
    client.force_login(person(shop), backend=BACKEND)
    assert client.get(reverse("admin:people")).status_code == 403


def test_a_forgotten_password_is_reset_by_mail(client, olga):
    get_user_model().objects.filter(pk=olga.pk).update(email="olga@shop.example")
    client.post(reverse("admin_password_reset"), {"email": "olga@shop.example"})
    form = client.get(link_in(mail.outbox[-1]), follow=True)
    client.post(form.request["PATH_INFO"], {"new_password1": PASSWORD, "new_password2": PASSWORD})
    olga.refresh_from_db()
    assert olga.check_password(PASSWORD)


def test_an_unknown_address_is_answered_like_a_known_one(client):
    answer = client.post(reverse("admin_password_reset"), {"email": "nobody@shop.example"})
    assert (answer.status_code, mail.outbox) == (302, [])


def test_signing_in_needs_a_place(client):
    person()
    form = {"username": get_user_model().objects.get().username, "password": "secret"}
    assert "no place at a merchant" in client.post(reverse("admin:login"), form).content.decode()


# ── The second factor ────────────────────────────────────────────────────────────────────────────────────────────────


def code_of(device: TOTPDevice) -> str:
    return f"{totp(device.bin_key, t0=0, step=30, drift=0):06d}"


def set_up(client, user) -> TOTPDevice:
    client.get(reverse("admin:two_factor"))
    device = TOTPDevice.objects.get(user=user)
    client.post(reverse("admin:two_factor"), {"code": code_of(device)})
    device.refresh_from_db()
    return device


def test_whoever_sets_it_up_is_asked_at_the_next_sign_in(owner, olga):
    device = set_up(owner, olga)
    assert device.confirmed
    owner.logout()
    owner.force_login(olga, backend=BACKEND)
    answer = owner.get(reverse("admin:connections"))
    assert answer.url.startswith(reverse("admin:two_factor_check"))
    TOTPDevice.objects.update(last_t=-1)  # the same half minute as when it was set up
    answer = owner.post(answer.url, {"code": code_of(device)})
    assert owner.get(answer.url).status_code == 200


def test_a_recovery_code_works_once(owner, olga):
    set_up(owner, olga)
    spare = olga.staticdevice_set.get().token_set.first().token
    for expected in (302, 200):
        owner.logout()
        owner.force_login(olga, backend=BACKEND)
        assert owner.post(reverse("admin:two_factor_check"), {"code": spare}).status_code == expected


def test_a_wrong_code_lets_nobody_in(owner, olga):
    set_up(owner, olga)
    owner.logout()
    owner.force_login(olga, backend=BACKEND)
    owner.post(reverse("admin:two_factor_check"), {"code": "000000"})
    assert owner.get(reverse("admin:connections")).status_code == 302


def test_a_merchant_can_require_it(owner, shop):
    Merchant.objects.filter(pk=shop.pk).update(requires_two_factor=True)
    assert owner.get(reverse("admin:index")).url.startswith(reverse("admin:two_factor"))


def test_where_it_is_required_it_cannot_be_switched_off(owner, olga, shop):
    set_up(owner, olga)
    Merchant.objects.filter(pk=shop.pk).update(requires_two_factor=True)
    owner.post(reverse("admin:two_factor_off"))
    assert TOTPDevice.objects.filter(user=olga, confirmed=True).exists()


def test_after_checking_one_goes_nowhere_but_here(owner, olga):
    device = set_up(owner, olga)
    TOTPDevice.objects.update(last_t=-1)
    answer = owner.post(reverse("admin:two_factor_check"), {"code": code_of(device), "next": "https://evil.example/"})
    assert answer.url == reverse("admin:index")


# ── Who may require it ───────────────────────────────────────────────────────────────────────────────────────────────

SHOP = {"name": "Vita Shop", "time_zone": "America/New_York", "currency": "USD", "country": "US"}


def save_shop(client, shop, **fields):
    return client.post(reverse("admin:connections_merchant_change", args=(shop.pk,)), SHOP | fields)


def requires(shop) -> bool:
    shop.refresh_from_db()
    return shop.requires_two_factor


def test_an_owner_may_require_it_but_only_staff_lift_it(owner, olga, shop, client):
    save_shop(owner, shop, requires_two_factor="on")
    assert requires(shop)
    set_up(owner, olga)
    save_shop(owner, shop)
    assert requires(shop)
    client.force_login(superuser(), backend=BACKEND)
    save_shop(client, shop)
    assert not requires(shop)


def test_what_staff_require_holds_for_everybody_who_works_there(shop, client):
    client.force_login(superuser(), backend=BACKEND)
    save_shop(client, shop, requires_two_factor="on")
    for role in ("owner", "support"):
        client.force_login(person(shop, role), backend=BACKEND)
        assert client.get(reverse("admin:webhooks")).url.startswith(reverse("admin:two_factor"))


def test_the_installation_can_require_it_of_all_staff_included(client, settings):
    settings.REQUIRE_TWO_FACTOR = True
    client.force_login(superuser(), backend=BACKEND)
    assert client.get(reverse("admin:index")).url.startswith(reverse("admin:two_factor"))


def test_staff_help_out_of_a_lost_phone(owner, olga, client):
    set_up(owner, olga)
    client.force_login(superuser(), backend=BACKEND)
    path = reverse("admin:auth_user_change", args=(olga.pk,))
    told = {"username": olga.username, "email": olga.email, "is_active": "on", "remove_two_factor": "on"}
    told |= {"date_joined_0": "2026-01-01", "date_joined_1": "12:00:00"}
    assert client.post(path, told).status_code == 302
    assert not TOTPDevice.objects.filter(user=olga).exists()
    assert AuditEntry.objects.filter(action="two-factor sign-in removed", object_id=str(olga.pk)).exists()


def test_what_staff_do_to_accounts_is_in_a_history_that_staff_read(olga, client):
    client.force_login(superuser(), backend=BACKEND)
    told = {"username": olga.username, "is_active": "on", "is_superuser": "on"}
    told |= {"date_joined_0": "2026-01-01", "date_joined_1": "12:00:00"}
    client.post(reverse("admin:auth_user_change", args=(olga.pk,)), told)
    new = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true", "set-password": "1"}
    assert client.post(reverse("admin:auth_user_password_change", args=(olga.pk,)), new).status_code == 302
    made = {"username": "new", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    client.post(reverse("admin:auth_user_add"), made)
    entries = dict(AuditEntry.objects.values_list("action", "changes"))
    assert entries["account changed"] == {"is_superuser": [False, True]}
    assert {"password set", "account made"} <= set(entries)
    assert PASSWORD not in str(entries)
    assert "account changed" in client.get(reverse("admin:history")).content.decode()


def test_an_owner_does_not_read_what_staff_do_to_accounts(owner, olga):
    AuditEntry.objects.create(action="account changed", object_name="somebody else")
    assert "somebody else" not in owner.get(reverse("admin:history")).content.decode()
