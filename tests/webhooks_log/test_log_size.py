"""The log at rest takes half of what the same calls take as plain text, or less; SQLite keeps it in pages of 8 KB."""

import pytest
from django.db import connection

from tests.bench.log_size import AIM, measure


@pytest.mark.django_db
def test_the_log_takes_at_most_half_of_plain_text():
    assert measure(2_000).ratio <= AIM


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL's pages are 8 KB by build")
@pytest.mark.django_db
def test_sqlite_keeps_pages_of_eight_kilobytes():
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA page_size")
        assert cursor.fetchone() == (8192,)
