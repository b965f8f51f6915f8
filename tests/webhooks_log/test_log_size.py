"""The log at rest takes half of what the same calls take as plain text, or less, in pages of 8 KB."""

import pytest
from django.db import connection

from tests.bench.log_size import AIM, measure


@pytest.mark.django_db
def test_the_log_takes_at_most_half_of_plain_text():
    assert measure(2_000).ratio <= AIM


@pytest.mark.django_db
def test_the_database_keeps_pages_of_eight_kilobytes():
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA page_size" if connection.vendor == "sqlite" else "SHOW block_size")
        assert int(cursor.fetchone()[0]) == 8192
