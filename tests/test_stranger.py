"""A stranger walks through every address and every form: the owner of one shop among the rows of another.

Whatever is added to the addresses later is walked as well; nothing of the neighbour's may show up, move or be chosen.
"""

import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.forms import ModelChoiceField
from django.test import RequestFactory
from django.urls import URLResolver, get_resolver, reverse

from connections import audit, keys, people
from connections.models import Campaign, Merchant
from events.models import Event, Product, Refusal
from tests.webhooks_log.shop import (
    call,
    connection,
    customer,
    delivery,
    event,
    merchant,
    message,
    person,
    source,
)
from webhooks_log.models import Note, Replay

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"
MARK = "Neighbour's secret"
MAIL = "neighbour-secret@klaviyo-demo.com"
IDS = range(1, 6)  # the neighbour's rows are few, so these are theirs wherever they exist
# What a signed-in person may always do to themselves.
ONES_OWN = {"logout", "two_factor", "two_factor_check", "two_factor_off", "password_change", "password_change_done"}


@pytest.fixture
def neighbour() -> Merchant:
    """A shop with a row of everything, each with the mark in it."""
    shop = merchant(MARK)
    owner = person(shop, "owner")
    to = connection(shop, MARK, sealed_key=b"sealed")
    who = customer(shop, MAIL, last_name=MARK)
    row = delivery(to, who, message(email=MAIL, Mark=MARK))
    call(row, answer=MARK.encode(), own=message(email=MAIL))
    Campaign.objects.create(merchant=shop, vrio_id="77", name=MARK)
    Product.objects.create(merchant=shop, offer_id="1", item_id="2", name=MARK)
    keys.new_bearer(source(shop), name=MARK, scope="read")
    event(shop, MARK.encode(), state=Event.State.HELD)
    Refusal.objects.create(merchant=shop, source=source(shop), status=422, code="x", detail=MARK, body=MARK.encode())
    Note.objects.create(merchant=shop, customer=who, text=MARK)
    Replay.objects.create(merchant=shop, reason=MARK)
    people.invite(shop, MAIL, "support", owner)
    audit.record(owner, "changed", to, {"name": (None, MARK)})
    return shop


@pytest.fixture
def stranger(client, neighbour):
    """The owner of a shop of their own, signed in."""
    client.force_login(person(merchant("My own shop"), "owner"), backend=BACKEND)
    client.raise_request_exception = True
    return client


def addresses() -> list[tuple[str, str | None, tuple[str, ...]]]:
    """(route, name, the names of what has to be filled in) of everything that can be asked for."""
    return sorted(_walk(get_resolver().url_patterns, ""), key=str)


def _walk(patterns: Any, prefix: str) -> Iterator[tuple[str, str | None, tuple[str, ...]]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route)
        elif "(?P<" not in route:
            yield route, pattern.name, tuple(re.findall(r"<(?:\w+:)?(\w+)>", route))


def filled(route: str, parameters: tuple[str, ...], slug: str) -> list[str]:
    """The route with the neighbour's ids and slug in it."""
    values = {"slug": [slug], "kind": ["csv", "ndjson"], "uidb64": ["MQ"], "token": ["set-password"], "rest": ["x"]}
    choices = [values.get(name, [str(pk) for pk in IDS]) for name in parameters]
    return ["/" + _put(route, parameters, chosen) for chosen in product(*choices)]


def _put(route: str, names: tuple[str, ...], values: tuple[str, ...]) -> str:
    for name, value in zip(names, values, strict=True):
        route = re.sub(rf"<(?:\w+:)?{name}>", value, route)
    return route


def everything_of(shop: Merchant) -> dict[str, list[dict[str, Any]]]:
    """Every row of our own models that is not the stranger's, as it is now."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for model in apps.get_models():
        if model._meta.app_label in ("connections", "events", "webhooks_log"):
            fields = {field.name for field in model._meta.fields}
            kept = model.objects.filter(merchant=shop) if "merchant" in fields else model.objects.all()
            rows[model._meta.label] = list(kept.order_by("pk").values())
    return rows


def content_of(answer: Any) -> str:
    raw = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return raw.decode("utf-8", "replace").replace("&#x27;", "'")


POSTED = {
    "name": "Planted", "active": "1", "role": "owner", "sees_personal_data": "on", "account": "x", "days": "1",
    "since": "2020-01-01", "reason": "planted", "text": "planted", "judgement": "release", "do": "stop",
}  # fmt: skip


def test_nothing_of_the_neighbour_is_seen_or_moved(stranger, neighbour):
    before = everything_of(neighbour)
    leaks = [leak for place in pages() for leak in leaks_at(stranger, neighbour, *place)]
    assert leaks == []
    after = everything_of(neighbour)
    for label, rows in before.items():
        assert all(row in after[label] for row in rows), label


def leaks_at(stranger, neighbour, route, parameters) -> list[tuple[str, int]]:
    """Addresses that broke, showed the mark, or answered about a foreign id with anything but a refusal."""
    found = []
    for path in filled(route, parameters, neighbour.slug):
        for answer in (stranger.get(path), stranger.post(path, {**POSTED, "merchant": neighbour.pk})):
            text = content_of(answer)
            is_refused = answer.status_code in (302, 403, 404, 405)
            names_a_row = "pk" in parameters or "slug" in parameters
            if answer.status_code >= 500 or MARK in text or MAIL in text or (names_a_row and not is_refused):
                found.append((path, answer.status_code))
    return found


def pages() -> list[tuple[str, tuple[str, ...]]]:
    """Every page behind the door, except those on which people change only themselves."""
    return [
        (route, parameters)
        for route, name, parameters in addresses()
        if route.startswith("app/") and name not in ONES_OWN
    ]


@pytest.mark.parametrize(
    "name", ["index", "connections", "people", "history", "receive", "customers", "webhooks", "find"]
)
def test_the_neighbour_in_the_address_is_not_found(stranger, neighbour, name):
    answer = stranger.get(reverse(f"admin:{name}"), {"merchant": neighbour.slug})
    assert answer.status_code == 404 or MARK not in content_of(answer)


@pytest.mark.parametrize("words", [MAIL, "Neighbour", "7001", "1253", "evt-1", "77"])
def test_the_search_finds_nothing_of_the_neighbour(stranger, words):
    for name in ("find", "connection_catalogue", "events_product_changelist"):
        text = content_of(stranger.get(reverse(f"admin:{name}"), {"q": words}))
        assert "s secret" not in text
        assert words == MAIL or "neighbour-secret" not in text


@pytest.mark.parametrize("parameter", ["connection", "event", "customer", "order", "replay"])
def test_the_filters_of_the_lists_take_no_foreign_id(stranger, parameter):
    for pk in IDS:
        for name in ("webhooks", "webhooks_live", "index"):
            answer = stranger.get(reverse(f"admin:{name}"), {parameter: pk})
            assert MARK not in content_of(answer)
            assert MAIL not in content_of(answer)


def test_no_form_of_the_shell_offers_a_foreign_row(stranger, neighbour):
    request = RequestFactory().get("/")
    request.user = person(merchant("My own shop"), "owner")
    for model, page in admin.site._registry.items():
        form = page.get_form(request)
        for name, field in form.base_fields.items():
            if isinstance(field, ModelChoiceField):
                offered = {str(row) for row in field.queryset}
                assert MARK not in offered, f"{model._meta.label}.{name}"


def test_autocomplete_answers_nothing_foreign(stranger):
    for app, model, field in (("events", "product", "merchant"), ("connections", "connection", "account")):
        query = {"app_label": app, "model_name": model, "field_name": field, "term": MARK}
        assert MARK not in content_of(stranger.get(reverse("admin:autocomplete"), query))


def test_who_is_not_signed_in_is_sent_to_the_door(client, neighbour):
    for route, parameters in pages():
        if route in ("app/login/", "app/jsi18n/"):
            continue
        for path in filled(route, parameters, neighbour.slug)[:2]:
            for answer in (client.get(path), client.post(path, POSTED)):
                assert answer.status_code in (302, 403, 404), path
                assert MARK not in content_of(answer), path


def test_who_has_no_place_any_more_sees_nothing(client, neighbour):
    client.force_login(person(), backend=BACKEND)
    for name in ("index", "connections", "webhooks", "customers"):
        assert client.get(reverse(f"admin:{name}")).status_code == 302


def test_a_key_of_ones_own_reads_nothing_of_the_neighbour(client, neighbour):
    mine = merchant("My own shop")
    _, key = keys.new_bearer(source(mine), name="mine", scope="read")
    for path in ("/api/v1/events", *(f"/api/v1/events/{pk}" for pk in IDS), "/api/v1/explain?order=1253"):
        answer = client.get(path, headers={"authorization": f"Bearer {key}"})
        assert answer.status_code < 500
        assert MARK not in content_of(answer)
        assert MAIL not in content_of(answer)


def test_the_neighbour_was_there_all_the_time(client, neighbour):
    """The walk proves something: the neighbour's own owner sees the mark where the stranger does not."""
    client.force_login(neighbour.memberships.get().user, backend=BACKEND)
    for name in ("connections", "receive", "history", "events_product_changelist"):
        assert MARK in content_of(client.get(reverse(f"admin:{name}"))), name
