"""Statements sent in one go bring what they bring one by one, and fail as Django's do."""

import pytest
from django.db import IntegrityError, connection, transaction
from psycopg.pq import PipelineStatus

from connections.models import KlaviyoAccount, Merchant
from connections.pipelining import Pipeline
from connections.standing import Given, Standing
from connections.writing import insert_rows
from tests.webhooks_log.inbox import shop

pytestmark = pytest.mark.django_db

NAMED = Standing(lambda: Merchant.objects.filter(slug=Given("slug", Merchant._meta.get_field("slug"))).order_by("pk"))
COUNTED = Standing(lambda: KlaviyoAccount.objects.order_by("pk").values_list("pk"))


def test_each_answer_is_its_own_whatever_the_order_of_reading() -> None:
    one, two = shop("one"), shop("two")
    with Pipeline():
        first, second = NAMED.ask(slug="one"), NAMED.ask(slug="two")
        nobody, accounts = NAMED.ask(slug="three"), COUNTED.ask()
    assert (second.models(), first.models(), nobody.models()) == ([two], [one], [])
    assert len(accounts.rows()) == 2


def test_what_is_written_is_seen_by_what_is_asked_after_it() -> None:
    with transaction.atomic(), Pipeline() as pipeline:
        before = COUNTED.ask()
        rows = [KlaviyoAccount() for _ in range(3)]
        insert_rows(rows, within=pipeline)
        after = COUNTED.ask()
    assert before.rows() == []
    assert after.rows() == [(row.pk,) for row in rows]


def test_an_error_is_djangos_and_nothing_of_its_transaction_stays() -> None:
    shop("one")

    def tell() -> None:
        with transaction.atomic(), Pipeline() as pipeline:
            insert_rows([KlaviyoAccount()], within=pipeline)
            insert_rows([Merchant(slug="one", name="Again")], within=pipeline)
            COUNTED.ask()

    with pytest.raises(IntegrityError):
        tell()
    assert KlaviyoAccount.objects.count() == 1
    with Pipeline():
        again = NAMED.ask(slug="one")
    assert len(again.models()) == 1


def test_our_own_error_inside_is_the_one_that_is_told() -> None:
    def ask() -> None:
        with Pipeline():
            NAMED.ask()

    with pytest.raises(KeyError):
        ask()
    assert NAMED.models(slug="nobody") == []


def test_only_postgresql_has_a_pipeline_and_it_ends() -> None:
    def is_open() -> bool:
        return connection.vendor == "postgresql" and connection.connection.pgconn.pipeline_status == PipelineStatus.ON

    with Pipeline():
        inside = is_open()
    assert (inside, is_open()) == (connection.vendor == "postgresql", False)
