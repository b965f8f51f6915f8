"""Statements that are written once: the same rows as the queryset they were made from, whatever the values."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.db.models import DateTimeField, Q
from django.db.transaction import TransactionManagementError

from connections.models import KlaviyoAccount, Merchant
from connections.standing import Among, Given, Standing

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def merchants() -> list[Merchant]:
    return [Merchant.objects.create(slug=slug, name=f"Shop {slug}") for slug in ("a", "b", "c's", "100%", "e%s")]


def test_each_time_other_values(merchants: list[Merchant]) -> None:
    names = Standing(lambda: Merchant.objects.filter(pk=Given("merchant")).values_list("name"))
    assert [names.rows(merchant=one.pk) for one in merchants] == [[(one.name,)] for one in merchants]


@pytest.mark.parametrize("slugs", [[], ["a"], ["c's", "100%", "unknown"], {"a", "b", "e%s"}])
def test_a_list_of_any_length(merchants: list[Merchant], slugs) -> None:
    chosen = Standing(lambda: Merchant.objects.filter(Among("slug", "slugs")).order_by("pk").values_list("slug"))
    assert chosen.rows(slugs=slugs) == [(one.slug,) for one in merchants if one.slug in slugs]


def test_lists_of_numbers_and_conditions_beside_them(merchants: list[Merchant]) -> None:
    either = Standing(lambda: Merchant.objects.filter(Among("pk", "pks") | Q(slug="100%") | Q(slug="e%s")))
    found = either.models(pks=[merchants[0].pk, 999_999_999_999])
    assert {one.slug for one in found} == {"a", "100%", "e%s"}


def test_rows_are_models_as_the_queryset_makes_them(merchants: list[Merchant]) -> None:
    (one,) = Standing(lambda: Merchant.objects.filter(slug="a")).models()
    expected = Merchant.objects.get(slug="a")
    shown = [(field.attname, getattr(one, field.attname)) for field in Merchant._meta.concrete_fields]
    assert shown == [(field.attname, getattr(expected, field.attname)) for field in Merchant._meta.concrete_fields]
    one.name = "Renamed"
    one.save()
    assert Merchant.objects.get(slug="a").name == "Renamed"


def test_only_some_columns_leave_the_others_for_later(merchants: list[Merchant]) -> None:
    (one,) = Standing(lambda: Merchant.objects.filter(slug="b").only("slug")).models()
    assert one.get_deferred_fields() >= {"name"}
    assert one.name == "Shop b"


def test_moments_and_json_come_back_as_they_went_in() -> None:
    KlaviyoAccount.objects.create(cid="AbCdEf", budget={"seen": [1, 2]}, throttled_until=NOW)
    after = Given("after", DateTimeField())
    throttled = Standing(
        lambda: KlaviyoAccount.objects.filter(throttled_until__gt=after).values_list("throttled_until", "budget")
    )
    assert throttled.rows(after=NOW - timedelta(seconds=1)) == [(NOW, {"seen": [1, 2]})]
    assert throttled.rows(after=NOW) == []


def test_a_value_that_is_missing_is_named() -> None:
    names = Standing(lambda: Merchant.objects.filter(pk=Given("merchant")).values_list("name"))
    with pytest.raises(KeyError, match="merchant"):
        names.rows()


def test_what_never_changes_stands_in_the_statement(merchants: list[Merchant]) -> None:
    """So that a partial index is seen to cover it."""
    asked = []

    def note(execute, sql, params, many, context):
        asked.append((sql, list(params)))
        return execute(sql, params, many, context)

    standing = Standing(lambda: Merchant.objects.filter(name="Shop c's", pk__in=[1, 2, 3]).values_list("pk"))
    with connection.execute_wrapper(note):
        standing.rows()
    ((sql, params),) = asked
    assert params == []
    assert "'Shop c''s'" in sql
    assert "IN (1, 2, 3)" in sql


@pytest.mark.django_db(transaction=True)
def test_whoever_locks_rows_does_so_in_a_transaction(merchants: list[Merchant]) -> None:
    locked = Standing(lambda: Merchant.objects.filter(slug="a").select_for_update())
    with transaction.atomic():
        assert [one.slug for one in locked.models()] == ["a"]
    with pytest.raises(TransactionManagementError, match="inside a transaction"):
        locked.models()
