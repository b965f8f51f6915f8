"""A number that Klaviyo refused is left out for a month, in that account only."""

from datetime import datetime, timedelta

import pytest

from connections.models import KlaviyoAccount, Merchant
from tests.events.vrio_records import customer, sale
from tests.webhooks_log.inbox import NOW, connect, profile, rows, shop, tell
from webhooks_log import purge, refused_phones
from webhooks_log.models import RefusedPhone
from webhooks_log.packing import unpack_body

pytestmark = pytest.mark.django_db


def refuse(merchant: Merchant, now: datetime = NOW) -> None:
    tell(merchant, sale("1"))
    row = rows(merchant)[0]
    refused_phones.remember(row.account_id, [unpack_body(row.body)], now=now)


def test_a_refused_number_is_left_out_and_the_tab_says_so() -> None:
    merchant = shop()
    refuse(merchant)
    tell(merchant, sale("2"))
    row = rows(merchant, unique_id="2")[0]
    assert "phone_number" not in profile(row)
    assert "$phone_number" not in profile(row)["properties"]
    assert "Klaviyo refused this phone number before, so it was left out." in row.notes


def test_another_account_still_gets_it() -> None:
    merchant = shop()
    refuse(merchant)
    connect(merchant, "Second")
    tell(merchant, sale("2"))
    assert [profile(row).get("phone_number") for row in rows(merchant, unique_id="2")] == [None, "+15551234567"]


def test_another_number_is_tried() -> None:
    merchant = shop()
    refuse(merchant)
    tell(merchant, sale("2", customer=customer(phone="+44 20 7946 0958")))
    assert profile(rows(merchant, unique_id="2")[0])["phone_number"] == "+442079460958"


def test_after_a_month_it_is_tried_again_and_forgotten() -> None:
    merchant = shop()
    refuse(merchant, now=NOW - timedelta(days=30))
    tell(merchant, sale("2"))
    assert "phone_number" in profile(rows(merchant, unique_id="2")[0])
    assert refused_phones.forget_old(now=NOW) == 1
    assert not RefusedPhone.objects.exists()


def test_what_is_remembered_no_longer_goes_with_the_purge() -> None:
    account = KlaviyoAccount.objects.create(cid="Forget")
    for days, digest in ((29, "young"), (31, "old")):
        RefusedPhone.objects.create(account=account, digest=digest, refused_at=NOW - timedelta(days=days))
    purge.small_things(NOW)
    assert [phone.digest for phone in RefusedPhone.objects.all()] == ["young"]
