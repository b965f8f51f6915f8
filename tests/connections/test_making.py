"""Rows made quickly are the rows that Django would have made."""

from datetime import UTC, datetime

import pytest
from django.apps import apps
from django.db import connection

from connections.making import new, stored
from connections.models import Merchant
from events.models import Customer, Event, Order
from tests.webhooks_log.shop import customer, event, merchant
from webhooks_log.models import Delivery

OURS = [model for app in ("connections", "events", "webhooks_log") for model in apps.get_app_config(app).get_models()]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_nothing_told_it_holds_its_defaults(model) -> None:
    one, other, quick = (
        {field.attname: getattr(made, field.attname) for field in model._meta.concrete_fields}
        for made in (model(), model(), new(model))
    )
    for name, value in quick.items():
        assert type(value) is type(one[name])
        assert value == one[name] or one[name] != other[name]  # the hour, or a draw
    assert (new(model)._state.adding, new(model)._state.db) == (True, None)


@pytest.mark.django_db
def test_what_is_told_is_held_and_a_relation_both_ways() -> None:
    shop = merchant()
    buyer, told = customer(shop), event(shop)
    row = new(Delivery, merchant_id=shop.pk, event=told, customer=buyer, metric="Placed Order", created_at=NOW)
    assert (row.merchant_id, row.event_id, row.customer_id, row.metric) == (shop.pk, told.pk, buyer.pk, "Placed Order")
    assert (row.event, row.customer, row.merchant) == (told, buyer, shop)
    assert row.event is told
    assert new(Delivery, customer=None).customer is None


def test_each_has_a_list_of_its_own() -> None:
    one, two = new(Delivery), new(Delivery)
    one.notes.append("Only mine.")
    assert two.notes == []


def test_what_is_no_field_is_refused() -> None:
    with pytest.raises(AttributeError, match="Order has no field ordered"):
        new(Order, ordered=1)


@pytest.mark.django_db
def test_a_quick_row_is_saved_as_any_other() -> None:
    shop = merchant()
    told = event(shop)
    row = new(Customer, merchant=shop, source=told.source, vrio_id="7", email="a@klaviyo-demo.com")
    row.save()
    assert Customer.objects.get(vrio_id="7") == row


@pytest.mark.django_db
def test_stored_rows_are_djangos_and_read_later_what_they_were_not_told() -> None:
    shop = merchant()
    event(shop)
    (row,) = stored(Merchant, ["id", "slug"], [(shop.pk, shop.slug)], connection.alias)
    assert (row, row.slug, row._state.adding, row._state.db) == (shop, shop.slug, False, connection.alias)
    assert row.name == shop.name
    names = [field.attname for field in Event._meta.concrete_fields]
    (again,) = stored(Event, names, Event.objects.values_list(*names), connection.alias)
    assert again == Event.objects.get()
    assert {name: getattr(again, name) for name in names} == Event.objects.values(*names).get()
