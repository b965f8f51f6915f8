"""A message that was overtaken must not leave an old profile behind."""

from datetime import timedelta

import pytest

from connections.models import Merchant
from tests.events.vrio_records import customer, sale
from tests.webhooks_log.inbox import NOW, only, profile, rows, shop, tell
from webhooks_log import fresh_profile
from webhooks_log.models import Delivery

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(minutes=10)


def overtaken() -> Merchant:
    """The first sale's messages are accepted after the second's, which named another phone and a newer value."""
    merchant = shop()
    tell(merchant, sale("1", transaction_order_offers=[]))
    newer = customer(first_name="Sally")
    tell(merchant, sale("2", at="2025-08-30 09:00:00", transaction_order_offers=[], customer=newer), now=LATER)
    Delivery.objects.update(state="delivered", settled_at=LATER)
    return merchant


def test_a_late_message_owes_the_present_profile_once() -> None:
    merchant = overtaken()
    late = rows(merchant)[0]
    assert fresh_profile.owe([late.pk], now=LATER) == 1
    assert fresh_profile.owe([late.pk], now=LATER) == 0
    fresh = only(merchant, "")
    assert (fresh.state, fresh.path) == ("queued", "/api/profile-import")
    assert profile(fresh)["first_name"] == "Sally"
    assert profile(fresh)["properties"]["CLV"] == "59.98"


def test_the_youngest_message_owes_nothing() -> None:
    merchant = overtaken()
    assert fresh_profile.owe([rows(merchant)[1].pk], now=LATER) == 0


def test_history_leaves_profiles_alone() -> None:
    merchant = overtaken()
    Delivery.objects.filter(pk=rows(merchant)[0].pk).update(identity_only=True)
    assert fresh_profile.owe([rows(merchant)[0].pk], now=LATER) == 0


def test_a_connection_that_is_off_owes_nothing() -> None:
    merchant = overtaken()
    merchant.connections.update(is_active=False)
    assert fresh_profile.owe([rows(merchant)[0].pk], now=LATER) == 0
