"""What Prometheus reads: how much came, went, waits and failed, and how the machinery is, without any name of a person.

Computed from the tables when asked, so that it is the same on every host and survives every restart.
`deploy/grafana.json` draws these, `deploy/alerts.yaml` watches them.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from django.db.models import Count, Min, Q
from django_q.tasks import queue_size
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry
from redis.exceptions import RedisError

from connections.klaviyo.budget import EVENTS, Budget
from connections.models import Connection, KlaviyoAccount
from events.models import Event
from webhooks_log import census, tally
from webhooks_log.models import Delivery, Erasure, Heartbeat, IsDueState

SERVED_LATELY = timedelta(minutes=1)
WORKER_SEEN_LATELY = timedelta(hours=1)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def written(now: datetime) -> bytes:
    """The metrics of now, as Prometheus reads them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Tables(now))
    return generate_latest(registry)


class Tables(Collector):
    """One look at the tables."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self.flow()
        yield from self.waiting()
        yield from self.klaviyo()
        yield from self.machinery()

    # ── What came and went ───────────────────────────────────────────────────────────────────────────────────────────
    def flow(self) -> Iterator[Metric]:
        sums = tally.read(now=self.now)
        waiting, oldest = census.events(Event.State.RECEIVED), census.oldest_event(Event.State.RECEIVED)
        dispatched = sums.outcomes["received"]
        yield counter("events_received", "Events stored at the door.", dispatched + waiting)
        yield counter("events_dispatched", "Events translated, or judged to say nothing.", dispatched)
        yield gauge("events_undispatched", "Events stored and not yet dispatched.", waiting)
        yield gauge("oldest_undispatched_seconds", "Age of the oldest of these.", self.age(oldest))
        yield counters(
            "deliveries", "Messages by what became of them.", "outcome",
            {outcome: sums.outcomes[outcome] for outcome in ("delivered", "failed", "skipped")},
        )  # fmt: skip
        yield counters("deliveries_skipped", "Messages not sent, by reason.", "reason", sums.reasons)
        yield counter("phones_dropped", "Calls repeated without the phone number.", sums.outcomes["phone_dropped"])
        yield counters("attempts", "Calls to Klaviyo by verdict, a minute late.", "verdict", sums.verdicts)
        yield counter("answer_seconds", "Time that Klaviyo took for all of them.", sums.answer_ms / 1000)
        yield self.delay(sums)

    def delay(self, sums: tally.Tally) -> Metric:
        name = "viaduct_vrio_to_klaviyo_seconds"
        metric = HistogramMetricFamily(name, "From Vrio's request to Klaviyo's acceptance, live events, a minute late.")
        so_far, buckets = 0, []
        for bound in (*map(str, tally.BUCKETS), "+Inf"):
            so_far += sums.buckets[bound]
            buckets.append((bound, so_far))
        metric.add_metric([], buckets=buckets, sum_value=sums.seconds)
        return metric

    # ── What waits ───────────────────────────────────────────────────────────────────────────────────────────────────
    def waiting(self) -> Iterator[Metric]:
        still_open = {state.value: census.deliveries(state) for state in OPEN}
        yield gauges("deliveries_open", "Messages on their way.", "state", still_open)
        due = Delivery.objects.filter(IsDueState("state"), next_attempt_at__lte=self.now)
        oldest = due.aggregate(Min("next_attempt_at"))["next_attempt_at__min"]
        yield gauge("oldest_due_seconds", "Now minus when the longest overdue message was due.", self.age(oldest))
        for state in (Event.State.HELD, Event.State.BROKEN):
            yield gauge(f"events_{state.value}", f"Events that are {state.label.lower()}.", census.events(state))
        unfinished = Erasure.objects.exclude(state=Erasure.State.DONE).count()
        yield gauge("erasures_unfinished", "People who asked to be forgotten and are not yet.", unfinished)

    # ── Klaviyo's side ───────────────────────────────────────────────────────────────────────────────────────────────
    def klaviyo(self) -> Iterator[Metric]:
        breakers = dict(KlaviyoAccount.objects.values_list("breaker_state").annotate(Count("pk")))
        yield gauges(
            "accounts", "Klaviyo accounts by their breaker.", "breaker",
            {state.value: breakers.get(state, 0) for state in KlaviyoAccount.Breaker},
        )  # fmt: skip
        throttled = KlaviyoAccount.objects.filter(throttled_until__gt=self.now).count()
        yield gauge("accounts_throttled", "Accounts that asked us to slow down.", throttled)
        living = Connection.objects.living()
        states = dict(living.order_by().values_list("state").annotate(Count("pk")))
        yield gauges(
            "connections", "Connections by state.", "state",
            {state.value: states.get(state, 0) for state in Connection.State},
        )  # fmt: skip
        held = living.filter(Q(held_at__isnull=False) | ~Q(held_families=[])).count()
        yield gauge("connections_held", "Connections that send nothing, or not everything.", held)
        yield gauges("lane_budget_used_ratio", "Largest share of a limit used.", "window", self.budget_used())

    def budget_used(self) -> dict[str, float]:
        """By window, of the account that comes closest to its limit."""
        lately = Q(served_at__gte=self.now - SERVED_LATELY) | Q(leased_until__gte=self.now)
        used = {"1s": 0.0, "60s": 0.0}
        for state in KlaviyoAccount.objects.filter(lately).values_list("budget", flat=True):
            budget = Budget(state, now=self.now.timestamp())
            for seconds, (count, limit) in budget.used(EVENTS, self.now.timestamp()).items():
                used[f"{seconds}s"] = max(used.get(f"{seconds}s", 0.0), count / limit)
        return used

    # ── The machinery ────────────────────────────────────────────────────────────────────────────────────────────────
    def machinery(self) -> Iterator[Metric]:
        yield from self.queue()
        leased = KlaviyoAccount.objects.filter(leased_until__gt=self.now, lease_holder__gt="").count()
        yield gauge("lanes_served", "Lanes that a worker holds now.", leased)
        here = Q(name__startswith="worker:", at__gte=self.now - WORKER_SEEN_LATELY)  # a host that is gone is no figure
        beats = list(Heartbeat.objects.filter(Q(name__in=("clock", "queue", "tally")) | here))
        ages = {beat.name: self.age(beat.at) for beat in beats}
        yield gauges("heartbeat_age_seconds", "Since a part of the worker was last seen.", "part", ages)
        memory = {beat.name.partition(":")[2]: beat.detail["memory"] for beat in beats if "memory" in beat.detail}
        yield gauges("worker_memory_bytes", "Memory of a worker's processes.", "host", memory)

    def queue(self) -> Iterator[Metric]:
        """Left out while the queue is away: the other figures are there all the same."""
        with suppress(RedisError, OSError):
            yield gauge("queue_length", "Bells waiting in the queue.", queue_size())

    def age(self, since: datetime | None) -> float:
        return max(0.0, (self.now - since).total_seconds()) if since else 0.0


OPEN = (Delivery.State.QUEUED, Delivery.State.SENDING, Delivery.State.WAITING)


def counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(f"viaduct_{name}", words, value=value)


def gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"viaduct_{name}", words, value=value)


def counters(name: str, words: str, label: str, values: dict[str, int]) -> Metric:
    return _labelled(CounterMetricFamily(f"viaduct_{name}", words, labels=[label]), values)


def gauges(name: str, words: str, label: str, values: dict[str, float]) -> Metric:
    return _labelled(GaugeMetricFamily(f"viaduct_{name}", words, labels=[label]), values)


def _labelled(metric: Metric, values: dict[str, float]) -> Metric:
    for value in sorted(values):
        metric.add_metric([value], values[value])
    return metric
