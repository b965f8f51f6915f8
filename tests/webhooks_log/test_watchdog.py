"""The queue is not trusted: wedged, poisoned, emptied or doubled, it costs seconds, never a message."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.models import OrmQ
from django_q.tasks import async_task
from redis import Redis

from connections.models import KlaviyoAccount
from tests.twin import Twin
from tests.webhooks_log.books import assert_in_order, calls, repeats
from tests.webhooks_log.hosts import Host, Place, wait_until
from tests.webhooks_log.lanes import Shop
from webhooks_log.clock import SILENT_TIMES, is_wedged
from webhooks_log.dispatch import DRAIN
from webhooks_log.models import Delivery, Heartbeat

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now()
LONG_AGO = NOW - timedelta(hours=1)
PATIENCE = 30.0


@pytest.fixture
def shop(twin: Twin, settings) -> Shop:
    settings.WATCHDOG_SECONDS = PATIENCE
    return Shop(twin)


def ran(seconds_ago: float) -> None:
    Heartbeat.objects.update_or_create(name="queue", defaults={"at": NOW - timedelta(seconds=seconds_ago)})


def wedged(since=LONG_AGO, **more) -> str:
    return is_wedged(now=NOW, since=since, **more)


def owed() -> int:
    return Delivery.objects.filter(state__in=Delivery.OPEN).count()


# ── What it judges by ────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_cluster_that_runs_tasks_and_owes_nothing_is_left_alone(shop: Shop) -> None:
    ran(PATIENCE - 1)
    assert wedged() == ""


def test_one_that_has_just_started_gets_its_time(shop: Shop) -> None:
    assert wedged(since=NOW - timedelta(seconds=PATIENCE - 1)) == ""


@pytest.mark.parametrize("last_ran", [None, PATIENCE + 1])
def test_one_that_runs_no_task_is_wedged_whatever_it_reports(shop: Shop, last_ran: float | None) -> None:
    if last_ran:
        ran(last_ran)
    assert "no task" in wedged()


def test_other_hosts_tasks_do_not_hide_that_this_one_runs_none(shop: Shop) -> None:
    ran(1)
    assert wedged(silent_seconds=SILENT_TIMES * PATIENCE - 1) == ""
    assert "this host" in wedged(silent_seconds=SILENT_TIMES * PATIENCE + 1)


def test_a_due_row_that_grows_old_is_a_sign(shop: Shop) -> None:
    ran(1)
    shop.owe("1", next_attempt_at=NOW - timedelta(seconds=PATIENCE + 1))
    assert "not being sent" in wedged()


@pytest.mark.parametrize(
    "lane",
    [
        {"throttled_until": NOW + timedelta(minutes=5)},
        {"breaker_until": NOW + timedelta(seconds=20)},
        {"leased_until": NOW + timedelta(seconds=20)},
        {"cid": None},
    ],
)
def test_a_row_whose_lane_is_paused_served_or_unknown_is_none(shop: Shop, lane: dict) -> None:
    ran(1)
    shop.owe("1", next_attempt_at=LONG_AGO)
    KlaviyoAccount.objects.update(**lane)
    assert wedged() == ""


def test_a_row_that_waits_for_something_else_than_time_is_none(shop: Shop) -> None:
    ran(1)
    shop.owe("1", state="waiting", reason="key_refused", next_attempt_at=None)
    shop.owe("2", next_attempt_at=NOW + timedelta(hours=1))
    assert wedged() == ""


# ── What it heals ────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_wedged_cluster_that_reports_healthy_is_restarted(one_place: Place, twin: Twin) -> None:
    """An idle worker dies holding the lock of the shared queue: the others wait for it for ever."""
    with Host(one_place, twin, WATCHDOG_SECONDS=8, Q_WORKERS=2) as host:
        wait_until(lambda: Heartbeat.objects.filter(name="queue").exists())
        sentinel = host.cluster()[1]
        for worker in sentinel.children()[:2]:
            worker.kill()
        expected = [Shop(twin).owe("1").unique_id]
        wait_until(lambda: owed() == 0)
        assert "Restarting the cluster" in host.words
        host.stop()
    assert_in_order(twin, expected)


def test_lost_doubled_and_poisonous_bells_change_nothing(one_place: Place, twin: Twin) -> None:
    twin.settings(latency_ms=30)
    with queue_as_a_table(one_place, twin) as host:
        bell = ORM(list_key=host.environ["QUEUE_NAME"])
        async_task("os.abort", broker=bell)
        async_task("nowhere.to_be_found", broker=bell)
        wait_until(lambda: "after death" in host.words and "nowhere.to_be_found" in host.words)
        expected = []
        for number in range(4):
            expected.append(Shop(twin, name=f"shop{number}").owe(str(number)).unique_id)
            for _ in range(5):
                async_task(DRAIN, broker=bell)
            if number % 2:
                OrmQ.objects.all().delete()
        wait_until(lambda: owed() == 0)
        host.stop()
    assert_in_order(twin, expected)
    assert repeats(twin) == 0


def queue_as_a_table(place: Place, twin: Twin, **given: object) -> Host:
    """A worker whose queue this process may fill: tasks are signed with the queue's name."""
    return Host(replace(place, redis_url=""), twin, QUEUE_NAME=settings.Q_CLUSTER["name"], **given)


class Table(ORM):
    """The queue as a table, which keeps the key of what was put there last: others put things there too."""

    last = 0

    def enqueue(self, task: str) -> int:
        self.last = super().enqueue(task)
        return self.last


def put(task: str, host: Host) -> int:
    """The key of a task that this host's cluster will run."""
    table = Table(list_key=host.environ["QUEUE_NAME"])
    async_task(task, broker=table)
    return table.last


def run_all_again() -> None:
    """The queue's locks run out early: whatever it has fetched and not acknowledged is handed out once more."""
    OrmQ.objects.update(lock=NOW - timedelta(hours=1))


def test_a_poison_that_comes_back_for_ever_holds_nothing_up(one_place: Place, twin: Twin) -> None:
    """It kills its worker, so the queue never counts an attempt and hands it out again and again."""
    shop, expected = Shop(twin), []
    with queue_as_a_table(one_place, twin) as host:
        wait_until(lambda: Heartbeat.objects.filter(name="queue").exists())
        poison = put("os.abort", host)
        for number in range(3):
            wait_until(lambda number=number: host.words.count("after death") > number)
            expected.append(shop.owe(str(number)).unique_id)
            wait_until(lambda: owed() == 0)
            run_all_again()
        assert OrmQ.objects.filter(pk=poison).exists()
        host.stop()
    assert_in_order(twin, expected)


def test_tasks_that_are_run_again_while_they_still_run_send_nothing_twice(one_place: Place, twin: Twin) -> None:
    shop = Shop(twin)
    expected = [shop.owe(str(number)).unique_id for number in range(60)]
    twin.settings(latency_ms=300)
    with queue_as_a_table(one_place, twin, LANE_LEASE_SECONDS=10, Q_WORKERS=3) as host:
        wait_until(lambda: len(calls(twin)) >= 8)
        assert OrmQ.objects.filter(lock__gt=timezone.now()).exists(), "no task is running"
        run_all_again()
        for wanted in (24, 40):
            # Whoever ran it a second time may have taken its row from the queue, while the first still runs.
            wait_until(lambda wanted=wanted: len(calls(twin)) >= wanted)
            put(DRAIN, host)
            run_all_again()
        wait_until(lambda: owed() == 0)
        host.stop()
    assert_in_order(twin, expected)
    assert repeats(twin) == 0


def test_a_queue_worker_that_is_killed_in_the_middle_of_its_task_loses_nothing(place: Place, twin: Twin) -> None:
    """Its task is lost with it in Redis and locked for minutes in the table; the clock finds what it left."""
    shop = Shop(twin)
    expected = [shop.owe(str(number)).unique_id for number in range(60)]
    twin.settings(latency_ms=200)
    with Host(place, twin) as host:
        wait_until(lambda: len(calls(twin)) >= 16)
        holder = int(KlaviyoAccount.objects.get(pk=shop.account.pk).lease_holder.rpartition(":")[2])
        next(member for member in host.cluster() if member.pid == holder).kill()
        wait_until(lambda: owed() == 0)
        assert "Restarting the cluster" not in host.words
        host.stop()
    assert_in_order(twin, expected)


def test_a_task_that_is_cut_off_by_the_queues_time_limit_loses_nothing(one_place: Place, twin: Twin) -> None:
    shop = Shop(twin)
    expected = [shop.owe(str(number)).unique_id for number in range(200)]
    twin.settings(latency_ms=300)
    with Host(one_place, twin, Q_TIMEOUT_SECONDS=5) as host:
        wait_until(lambda: owed() == 0)
        host.stop()
    assert_in_order(twin, expected)
    assert Delivery.objects.filter(attempts__kind="interrupted").exists(), "nothing was cut off"


def test_an_emptied_redis_costs_a_moment(postgres_place: Place, twin: Twin) -> None:
    redis, expected, shop = Redis.from_url(postgres_place.redis_url), [], Shop(twin)
    with Host(postgres_place, twin) as host:
        for number in range(10):
            expected.append(shop.owe(str(number)).unique_id)
            redis.flushall()
        wait_until(lambda: owed() == 0)
        host.stop()
    assert_in_order(twin, expected)
    assert repeats(twin) == 0
