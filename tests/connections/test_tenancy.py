"""Whose is it, asked for every kind of row and every kind of person."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.http import Http404

from connections.models import Campaign, Connection, KlaviyoAccount, Membership, Merchant
from connections.tenancy import chosen_merchants, may, merchant_of, merchants_of, own, role_at

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> Merchant:
    return Merchant.objects.create(name="Acme", slug="acme")


@pytest.fixture
def rival() -> Merchant:
    return Merchant.objects.create(name="Rival", slug="rival")


def person(name: str, *places: tuple[Merchant, str], **extra: bool):
    user = get_user_model().objects.create_user(name, f"{name}@shop.test", "secret", **extra)
    for merchant, role in places:
        Membership.objects.create(user=user, merchant=merchant, role=role)
    return user


def test_a_person_sees_the_merchants_with_a_place_for_them(acme, rival):
    assert list(merchants_of(person("olga", (acme, "owner")))) == [acme]


def test_a_person_of_two_merchants_sees_both(acme, rival):
    assert set(merchants_of(person("olga", (acme, "owner"), (rival, "support")))) == {acme, rival}


def test_the_platforms_staff_see_all(acme, rival):
    assert set(merchants_of(person("root", is_superuser=True))) == {acme, rival}


def test_being_staff_without_a_place_shows_nothing(acme):
    assert not merchants_of(person("clerk", is_staff=True)).exists()


def test_a_stranger_and_a_dismissed_person_see_nothing(acme):
    gone = person("gone", (acme, "owner"), is_active=False)
    assert not merchants_of(AnonymousUser()).exists()
    assert not merchants_of(gone).exists()
    assert role_at(gone, acme) is None


@pytest.mark.parametrize("permission", ["read", "send_again", "personal_data", "configure"])
def test_an_owner_may_do_everything_at_home_and_nothing_next_door(acme, rival, permission):
    olga = person("olga", (acme, "owner"))
    assert may(olga, acme, permission)
    assert not may(olga, rival, permission)


def test_support_reads_and_sends_again_but_does_not_configure(acme):
    sam = person("sam", (acme, "support"))
    assert [may(sam, acme, p) for p in ("read", "send_again", "personal_data", "configure")] == [
        True,
        True,
        True,
        False,
    ]


def test_personal_data_can_be_withheld_from_one_person(acme):
    sam = person("sam", (acme, "support"))
    Membership.objects.update(sees_personal_data=False)
    assert not may(sam, acme, "personal_data")


def test_an_unknown_permission_is_a_bug_not_a_no(acme):
    with pytest.raises(ValueError, match="no permission"):
        may(person("olga", (acme, "owner")), acme, "delete")


def test_anothers_merchant_in_the_address_is_not_found(acme, rival):
    olga = person("olga", (acme, "owner"))
    assert list(chosen_merchants(olga, "acme")) == [acme]
    with pytest.raises(Http404):
        chosen_merchants(olga, "rival")


def test_rows_are_narrowed_by_whichever_road_leads_to_the_merchant(acme, rival):
    olga = person("olga", (acme, "owner"))
    person("eve", (rival, "owner"))
    account = KlaviyoAccount.objects.create()
    for merchant in (acme, rival):
        Campaign.objects.create(merchant=merchant, vrio_id="1")
        Connection.objects.create(merchant=merchant, account=account, name="Klaviyo")
    assert [c.merchant for c in own(Campaign.objects.all(), olga)] == [acme]
    assert list(own(KlaviyoAccount.objects.all(), olga)) == [account]
    assert list(own(get_user_model().objects.all(), olga)) == [olga]


def test_the_merchant_of_a_row_is_found_by_its_road(acme):
    assert merchant_of(Campaign(merchant=acme, vrio_id="1")) == acme
    assert merchant_of(acme) == acme
    assert merchant_of(KlaviyoAccount()) is None
