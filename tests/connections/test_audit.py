"""The history that every change leaves."""

import pytest
from django.contrib.auth import get_user_model

from connections.audit import differences, history, record
from connections.models import Campaign, Merchant

pytestmark = pytest.mark.django_db


def test_an_entry_says_who_what_and_the_values_before_and_after():
    olga = get_user_model().objects.create_user("olga")
    campaign = Campaign.objects.create(merchant=Merchant.objects.create(name="Acme", slug="acme"), vrio_id="7")
    record(olga, "changed", campaign, {"name": ("", "Spring")}, reason="typo")
    (entry,) = history(campaign)
    assert (entry.actor_name, entry.action, entry.object_name, entry.reason) == ("olga", "changed", "7", "typo")
    assert entry.changes == {"name": ["", "Spring"]}
    assert entry.merchant == campaign.merchant


def test_what_viaduct_does_by_itself_is_signed_so():
    assert record(None, "checked").actor_name == "Viaduct"


def test_only_what_differs_is_a_change():
    assert differences({"name": "a", "active": True}, {"name": "b", "active": True}) == {"name": ("a", "b")}
