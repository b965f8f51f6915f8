"""Stored once, in one statement, whoever else is storing at the same moment."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.conf import Conf

from connections import keys, turns
from connections.models import ApiKey
from events import api, auth
from events.envelope import Envelope
from events.ingest import Arrival, KeyClosed, Origin, store
from events.models import Event, Inbox
from tests.events.door import a_source, an_event, call, post, send


@pytest.fixture(autouse=True)
def _nothing_remembered():
    auth.forget()
    api._looked_at.clear()


def origin(source, key: ApiKey | None = None) -> Origin:
    inbox, _ = Inbox.objects.get_or_create(merchant=source.merchant)
    return Origin(source.merchant_id, source.pk, inbox.pk, key.pk if key else None, "bearer")


def arrival(event_id: str, body: bytes = b"{}") -> Arrival:
    return Arrival(Envelope("order", "order_updated", event_id, ""), body)


def statements(queries: CaptureQueriesContext) -> list[str]:
    """The verbs of what was executed; PostgreSQL's server-bound INSERT is captured without its text."""
    return [(query["sql"] or "INSERT").split()[0] for query in queries.captured_queries]


def rung() -> int:
    """How many bells are in the queue, whichever broker carries it."""
    return get_broker().queue_size()


@pytest.mark.django_db
def test_contents_of_one_identity_point_to_the_first_of_them():
    source = a_source()
    rows = store(
        origin(source),
        [arrival("1", b"a"), arrival("1", b"b"), arrival("1", b"c"), arrival("1", b"b ")],
        timezone.now(),
    ).rows
    first = rows[0].id
    assert [row.conflict_of for row in rows] == [None, first, first, first]
    assert [row.is_duplicate for row in rows] == [False, False, False, True]
    assert list(Event.objects.order_by("pk").values_list("body", "arrivals")) == [(b"a", 1), (b"b", 2), (b"c", 1)]


@pytest.mark.django_db
def test_a_repeated_conflict_is_a_duplicate_of_the_conflict():
    source = a_source()
    for body in (b"a", b"b"):
        store(origin(source), [arrival("1", body)], timezone.now())
    (again,) = store(origin(source), [arrival("1", b"b")], timezone.now()).rows
    assert (again.is_duplicate, Event.objects.get(pk=again.id).arrivals) == (True, 2)
    assert again.conflict_of == Event.objects.get(body=b"a").pk


@pytest.mark.django_db
def test_two_sources_never_share_an_identity():
    for source in (a_source("one"), a_source("two")):
        (row,) = store(origin(source), [arrival("1")], timezone.now()).rows
        assert not row.is_duplicate


@pytest.mark.django_db
def test_a_list_keeps_its_order_and_every_kind_of_byte():
    source = a_source()
    bodies = [bytes([34, number, 0, 255, 34]) for number in range(40)]
    rows = store(origin(source), [arrival(str(n), body) for n, body in enumerate(bodies)], timezone.now()).rows
    assert [bytes(body) for body in Event.objects.order_by("pk").values_list("body", flat=True)] == bodies
    assert [row.id for row in rows] == sorted(row.id for row in rows)
    stored = Event.objects.in_bulk([row.id for row in rows])
    assert [bytes(stored[row.id].body) for row in rows] == bodies


@pytest.mark.django_db
def test_a_list_that_is_known_in_part_tells_which():
    source = a_source()
    known = store(origin(source), [arrival("2", b"2")], timezone.now()).rows[0].id
    rows = store(origin(source), [arrival(n, n.encode()) for n in "123"], timezone.now()).rows
    assert [row.is_duplicate for row in rows] == [False, True, False]
    assert rows[1].id == known
    assert dict(Event.objects.values_list("event_id", "arrivals")) == {"1": 1, "2": 2, "3": 1}


@pytest.mark.django_db
@pytest.mark.parametrize("closed", [{"revoked_at": timezone.now()}, {"valid_until": timezone.now()}])
def test_a_closed_key_stores_nothing(closed):
    source = a_source()
    key, _ = keys.new_bearer(source, name="x")
    ApiKey.objects.update(**closed)
    with pytest.raises(KeyClosed):
        store(origin(source, key), [arrival("1"), arrival("2")], timezone.now())
    assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_request_costs_one_insert_and_at_most_one_bell(monkeypatch):
    monkeypatch.setattr(api, "BELL_RESTS", 60)  # however slow the machine is
    monkeypatch.setattr(auth, "REMEMBERED_SECONDS", 60)
    clear = keys.new_bearer(a_source(), name="x")[1]
    send(clear, an_event(0))  # looks the key up, notes its use, rings
    with CaptureQueriesContext(
        connection,
    ) as one:
        assert send(clear, an_event(1)).status == 202
    with CaptureQueriesContext(connection) as many:
        assert send(clear, [an_event(n) for n in range(2, 102)]).status == 202
    with CaptureQueriesContext(connection) as again:
        assert send(clear, an_event(1)).status == 200
    assert statements(one) == statements(again) == ["INSERT"]
    # On SQLite a list looks at the bell in a statement of its own, after the commit.
    assert statements(many) == ["INSERT", "SELECT"] if connection.vendor == "sqlite" else ["INSERT"]


@pytest.mark.django_db(transaction=True)
def test_the_first_request_looks_its_key_up_and_rings_once():
    clear, before = keys.new_bearer(a_source(), name="x")[1], rung()
    send(clear, an_event(0))
    assert rung() == before + 1
    Inbox.objects.update(rung_at=None)  # somebody answers
    auth.forget()
    with CaptureQueriesContext(connection) as queries:
        assert send(clear, an_event(1)).status == 202
    assert statements(queries)[:3] == [
        "SELECT",
        "INSERT",
        "SELECT",
    ]  # key, event, bell; then it is set, and the queue's own row
    assert rung() == before + 2


@pytest.mark.django_db
def test_bells_coalesce_until_somebody_answers():
    clear, before = keys.new_bearer(a_source(), name="x")[1], rung()
    for number in range(20):
        send(clear, an_event(number))
    assert rung() == before + 1


@pytest.mark.django_db
def test_nobody_is_rung_for_while_a_dispatcher_is_at_it():
    source = a_source()
    clear, before = keys.new_bearer(source, name="x")[1], rung()
    inbox = Inbox.objects.get_or_create(merchant=source.merchant)[0].pk
    turn = turns.take(Inbox, inbox, holder="one:1", seconds=60)
    send(clear, an_event(0))
    send(clear, [an_event(1), an_event(2)])
    assert rung() == before
    turns.release(turn)
    send(clear, an_event(3))
    assert rung() == before + 1


@pytest.mark.django_db
def test_a_queue_that_is_away_costs_no_event(monkeypatch):
    clear = keys.new_bearer(a_source(), name="x")[1]
    monkeypatch.setattr(Conf, "ORM", None)
    monkeypatch.setattr(Conf, "REDIS", "redis://127.0.0.1:9/0")  # nobody listens there
    assert send(clear, an_event()).status == 202
    assert Event.objects.count() == 1
    assert Inbox.objects.get().rung_at is None  # the clock, or the next request, rings again


@pytest.mark.django_db(transaction=True)
def test_everybody_telling_the_same_facts_at_once_stores_them_once():
    source = a_source()
    where = origin(source)
    facts = [arrival(str(number), str(number).encode()) for number in range(20)]
    start = threading.Barrier(8)

    def tell(seed: int) -> list[int]:
        mine = facts[seed:] + facts[:seed] if seed % 2 else list(reversed(facts))
        start.wait()
        try:
            return [row.id for row in store(where, mine, timezone.now()).rows]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(tell, range(8)))
    assert {frozenset(ids) for ids in told} == {frozenset(Event.objects.values_list("pk", flat=True))}
    assert set(Event.objects.values_list("arrivals", flat=True)) == {8}


@pytest.mark.django_db(transaction=True)
def test_many_contents_of_one_identity_at_once_have_one_first():
    source = a_source()
    where = origin(source)
    start = threading.Barrier(8)

    def tell(number: int) -> None:
        start.wait()
        try:
            store(where, [arrival("1", bytes([number]))], timezone.now())
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tell, range(8)))
    first = Event.objects.get(conflict_of=None)
    assert Event.objects.filter(conflict_of=first).count() == 7


@pytest.mark.django_db
def test_a_conflict_is_dispatched_like_any_other():
    clear = keys.new_bearer(a_source(), name="x")[1]
    send(clear, an_event())
    send(clear, an_event(webhook_data={"transaction": {"id": "other"}}))
    assert Event.objects.filter(state="received").count() == 2


@pytest.mark.django_db
def test_the_request_id_is_stored_and_told_back():
    clear = keys.new_bearer(a_source(), name="x")[1]
    answer = send(clear, an_event(), HTTP_X_REQUEST_ID="vrio-0001")
    assert answer.headers["X-Request-Id"] == Event.objects.get().request_id == "vrio-0001"
    assert call("GET", "/api/v1/nothing", HTTP_X_REQUEST_ID="bad id\n").headers["X-Request-Id"] != "bad id\n"
    assert post("/api/v1/nothing", {}).status == 404
