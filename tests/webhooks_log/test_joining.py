"""Two accounts that turn out to be one: joined under both leases, while other processes drain, check and die."""

import sys
import time

import pytest
from django.utils import timezone

from connections import accounts, doctor, turns
from connections.klaviyo.budget import EVENTS, Budget
from connections.models import Connection, KlaviyoAccount
from tests.twin import Twin
from tests.webhooks_log.books import assert_in_order, calls, repeats
from tests.webhooks_log.hosts import Place, PumpHost, wait_until
from tests.webhooks_log.lanes import CID, Shop
from webhooks_log.accounts import after_check
from webhooks_log.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)


class DoctorHost(PumpHost):
    """A process that checks one connection and leaves."""

    pk = 0

    @property
    def command(self) -> list[str]:
        words = "import django; django.setup(); from connections import doctor; doctor.check_by_id({pk})"
        return [sys.executable, "-c", words.format(pk=self.pk)]


@pytest.fixture
def shop(twin: Twin, settings) -> Shop:
    settings.KLAVIYO_BASE_URL = twin.url
    return Shop(twin)


def newcomer(shop: Shop, twin: Twin, name: str = "Second") -> Connection:
    """A connection just made: nobody knows yet that its key is one of the shop's account."""
    made = shop.connect(twin.key(CID, "documented"), name)
    Connection.objects.filter(pk=made.pk).update(account=KlaviyoAccount.objects.create())
    made.refresh_from_db()
    return made


def test_a_second_key_of_a_busy_account_joins_between_two_blocks(place: Place, twin: Twin, settings) -> None:
    settings.KLAVIYO_BASE_URL = twin.url
    shop = Shop(twin)
    expected = [shop.owe(str(number)).unique_id for number in range(150)]
    second = newcomer(shop, twin)
    owed = shop.owe("second", connection=second)
    Delivery.objects.filter(pk=owed.pk).update(account=second.account)
    twin.settings(latency_ms=100)
    with PumpHost(place, twin, quiet=3.0, LANE_LEASE_SECONDS=10) as host:
        wait_until(lambda: len(calls(twin)) >= 20)
        doctor.check(second)
        assert Delivery.objects.filter(state__in=Delivery.OPEN).count() > 1, "the lane was not busy any more"
        second.refresh_from_db()
        assert second.account == shop.account
        after_check(second.pk)
        host.finish()
    assert_in_order(twin, [*expected, "second"])
    assert repeats(twin) == 0
    account = KlaviyoAccount.objects.get(cid=CID)
    assert account.lease_token >= 3, "drained, joined, drained again"
    assert account.wanted_until is None
    assert Budget(account.budget, now=time.time()).used(EVENTS, time.time())[60][0] >= len(expected)


@pytest.mark.parametrize("is_known", [True, False])
def test_two_that_turn_out_to_be_one_at_once_do_not_wait_for_each_other(
    place: Place, twin: Twin, settings, is_known: bool
) -> None:
    settings.KLAVIYO_BASE_URL = twin.url
    shop = Shop(twin)
    if not is_known:
        KlaviyoAccount.objects.update(cid=None)
    newcomers = [newcomer(shop, twin, name) for name in ("Second", "Third")]
    hosts = [DoctorHost(place, twin) for _ in newcomers]
    for host, made in zip(hosts, newcomers, strict=True):
        host.pk = made.pk
        host.start()
    for host in hosts:
        host.finish()
    for made in newcomers:
        doctor.check(made)  # as it does by itself in a moment, where one came too late
    tied = set(Connection.objects.filter(pk__in=[made.pk for made in newcomers]).values_list("account__cid", flat=True))
    assert tied == {CID}
    assert not KlaviyoAccount.objects.exclude(leased_until=None, wanted_until=None).exists()


def test_a_lane_that_does_not_yield_is_not_waited_for(shop: Shop, twin: Twin, monkeypatch) -> None:
    monkeypatch.setattr(accounts, "PATIENCE_SECONDS", 0.2)
    second, now = newcomer(shop, twin), timezone.now()
    hanging = turns.take(KlaviyoAccount, shop.account.pk, holder="lane:1", seconds=60)
    result = doctor.check(second, now=now)
    second.refresh_from_db()
    assert second.account.cid is None
    assert "joins it in a moment" in result.remarks[0]
    assert second.check_due_at == now + doctor.AT_ONCE
    assert turns.held(hanging).exists()
    turns.release(hanging)
    doctor.check(second)
    second.refresh_from_db()
    assert second.account == shop.account
