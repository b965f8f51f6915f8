"""What every page that the benchmark looks at asks of the database: how often, and how many rows it touches for it.

Over a log written by the database itself, half of it one merchant's, on whichever database the tests run on.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from tests.bench import tab_data
from tests.bench.tab import PAGE_BYTES, pages
from webhooks_log import checkup, metrics, tally

DELIVERIES, PEOPLE = 20_000, 1_000
BIG = ("webhooks_log_delivery", "webhooks_log_attempt", "webhooks_log_body", "events_event", "events_customer")
# What one statement may touch: a page of fifty and what lies near a moment. A scan touches thousands of rows.
MOST_ROWS = 300
MOST_STEPS = 5_000  # the same on SQLite, in steps of its virtual machine
COUNTED = re.compile(r"\bCOUNT\(|\bOFFSET\s+\d", re.IGNORECASE)
COUNTS = {"home"}  # its tiles count up to a thousand and no further: tests/webhooks_log/test_home.py
STATEMENTS = {
    "tab of a customer": 10,
    "tab of a heavy customer": 10,
    "all of a merchant": 9,
    "deep in the list": 9,
    "state: failed": 11,
    "state: sending, none": 9,
    "a rare metric": 11,
    "a metric never heard": 9,
    "failed and a metric": 11,
    "answer: 4xx": 11,
    "answer: 429, none": 9,
    "answer: 5xx": 11,
    "no answer at all": 11,
    "phone dropped": 11,
    "a day months ago": 16,
    "a connection": 11,
    "a connection's failed": 9,
    "waiting and 4xx, none": 9,
    "an order": 9,
    "search by order": 12,
    "search by transaction": 12,
    "search by tracking number": 13,
    "search by Vrio event id": 12,
    "search by Klaviyo request id": 13,
    "search by e-mail": 5,
    "search by name": 16,
    "search by phone": 13,
    "search by Vrio id": 12,
    "search for nothing": 12,
    "an opened row": 9,
    "a Delivery's own page": 9,
    "an opened row of hostile bytes": 9,
    "a live question": 5,
    "why, for a customer": 12,
    "why, for an order": 11,
    "customers": 6,
    "events from Vrio": 5,
    "home": 17,
}


@dataclass(frozen=True, slots=True)
class Look:
    """What one page was seen to do; a statement is its text and its parameters."""

    size: int
    statements: list[tuple[str, Any]]


@pytest.fixture
def log(db: Any) -> None:
    tab_data.people_and_shops()
    with connection.cursor() as cursor:
        tab_data.load(cursor, DELIVERIES, PEOPLE)
        cursor.execute("ANALYZE")


@pytest.fixture
def looks(log: None) -> dict[str, Look]:
    """Each kind of page, looked at a second time: the first one writes down who saw whom."""
    targets = tab_data.targets(DELIVERIES, PEOPLE)
    client = Client()
    client.cookies[targets["cookie"]] = targets["sessions"][0]
    return {name: _look(client, paths[0]) for name, paths in pages(targets).items()}


def test_every_page_is_light(looks):
    assert {name: look.size for name, look in looks.items() if look.size > PAGE_BYTES} == {}


def test_every_page_asks_as_often_as_it_is_known_to(looks):
    assert {name: len(look.statements) for name, look in looks.items()} == STATEMENTS


def test_nothing_is_counted_or_skipped_on_the_way_to_a_page(looks):
    said = [(name, sql) for name, look in looks.items() if name not in COUNTS for sql, _ in look.statements]
    assert [(name, sql) for name, sql in said if COUNTED.search(sql)] == []


def test_no_statement_touches_more_rows_than_its_page_needs(looks):
    touch, most = (_steps, MOST_STEPS) if connection.vendor == "sqlite" else (_rows, MOST_ROWS)
    looked = [(name, look) for name, look in looks.items() if name not in COUNTS]
    asked = [(name, said) for name, look in looked for said in look.statements if _is_about_much(said[0])]
    assert [(name, cost, said) for name, said in asked if (cost := touch(*said)) > most] == []
    assert {name for name, _ in asked} == {name for name, _ in looked}


def test_figures_and_checkups_touch_what_is_open_and_not_what_was(log):
    """They are asked for every few seconds, over however large a log."""
    touch, most = (_steps, MOST_STEPS) if connection.vendor == "sqlite" else (_rows, MOST_ROWS)
    now = timezone.now()
    tally.fold(now=now)
    said = _said(lambda: metrics.written(now)) + _said(lambda: [check(now) for check in checkup.OF_THE_TABLES])
    asked = [statement for statement in said if _is_about_much(statement[0])]
    assert len(asked) > 10
    assert [(cost, statement) for statement in asked if (cost := touch(*statement)) > most] == []


def test_a_statement_without_an_index_would_be_found_out(looks):
    """The check itself: a filter that no index serves touches more than any page may."""
    scan = "SELECT id FROM webhooks_log_delivery WHERE duration_ms = %s ORDER BY id DESC LIMIT 51", (-1,)
    cost, most = (_steps(*scan), MOST_STEPS) if connection.vendor == "sqlite" else (_rows(*scan), MOST_ROWS)
    assert cost > most


def _look(client: Client, path: str) -> Look:
    client.get(path)
    answers: list[Any] = []
    said = _said(lambda: answers.append(client.get(path)))
    assert answers[0].status_code in (200, 204, 302), path
    return Look(len(answers[0].content), said)


def _said(do: Callable[[], Any]) -> list[tuple[str, Any]]:
    """What is asked of the database meanwhile."""
    said: list[tuple[str, Any]] = []

    def listen(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        said.append((sql, parameters))
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(listen):
        do()
    return said


def _is_about_much(sql: str) -> bool:
    return sql.startswith("SELECT") and any(f'"{table}"' in sql for table in BIG)


def _rows(sql: str, parameters: Any) -> int:
    """The rows of large tables that PostgreSQL looked at, those it threw away included."""
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql, parameters)
        (plan,) = cursor.fetchone()[0]
    return sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0))
        * node["Actual Loops"]
        for node in _nodes(plan["Plan"])
        if node.get("Relation Name") in BIG
    )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _steps(sql: str, parameters: Any) -> int:
    """The steps of SQLite's virtual machine that the statement took, in hundreds."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 100
        return 0

    with connection.cursor() as cursor:
        connection.connection.set_progress_handler(count, 100)
        try:
            cursor.execute(sql, parameters)
            cursor.fetchall()
        finally:
            connection.connection.set_progress_handler(None, 100)
    return taken
