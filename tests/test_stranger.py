"""A stranger walks through every address and every form: the owner of one shop among the rows of another.

Whatever is added to the addresses or to the forms later is walked as well; nothing of the neighbour's may show up, move
or be chosen.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection, models, transaction
from django.forms import ModelChoiceField
from django.test import RequestFactory
from django.urls import URLResolver, get_resolver, reverse

from connections import keys
from connections.models import KlaviyoAccount, Merchant
from connections.tenancy import merchant_road
from tests.forms import Form, forms_of
from tests.tenants import FIRST, IDS, count_from_far, our_models, shop_with_everything
from tests.webhooks_log.shop import merchant, person, source

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"
MARK = "Neighbour's secret"
MAIL = "neighbour-secret@klaviyo-demo.com"
LOOKS = ("SELECT", "SAVEPOINT", "RELEASE", "ROLLBACK")
# What a signed-in person may always do to themselves.
ONES_OWN = {"logout", "two_factor", "two_factor_check", "two_factor_off", "password_change", "password_change_done"}


@pytest.fixture
def neighbour() -> Merchant:
    """A shop with a row of everything, each with the mark in it."""
    count_from_far()
    shop = shop_with_everything(MARK, MAIL)
    shop.came_along = {model: list(model.objects.values_list("pk", flat=True)) for model in our_models()}
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
    values = {
        "slug": [slug],
        "place": [slug],
        "kind": ["csv", "ndjson"],
        "uidb64": ["MQ"],
        "token": ["set-password"],
        "rest": ["x"],
    }
    choices = [values.get(name, [str(pk) for pk in IDS]) for name in parameters]
    return ["/" + _put(route, parameters, chosen) for chosen in product(*choices)]


def _put(route: str, names: tuple[str, ...], values: tuple[str, ...]) -> str:
    for name, value in zip(names, values, strict=True):
        route = re.sub(rf"<(?:\w+:)?{name}>", value, route)
    return route


def everything_of(shop: Merchant) -> dict[str, list[dict[str, Any]]]:
    """Every row that is this shop's, as it is now. Where no road leads to a merchant, those that came with the shop."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for model in our_models():
        road = merchant_road(model)
        kept = model.objects.filter(**{road: shop.pk} if road else {"pk__in": shop.came_along[model]})
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
        assert after[label] == rows, label


def leaks_at(stranger, neighbour, route, parameters) -> list[tuple[str, int]]:
    """Addresses that broke, showed the mark, or answered about a foreign id with anything but a refusal."""
    found = []
    for path in filled(route, parameters, neighbour.slug):
        for answer in (stranger.get(path), stranger.post(path, {**POSTED, "merchant": neighbour.pk})):
            text = content_of(answer)
            is_refused = answer.status_code in (302, 403, 404, 405)
            names_a_row = not {"pk", "slug", "place"}.isdisjoint(parameters)
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
    "name",
    [
        "index",
        "connections",
        "people",
        "history",
        "receive",
        "history_import",
        "customers",
        "webhooks",
        "events",
        "find",
        "alerts",
        "privacy",
        "mapping_preview",
    ],
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
    lists = [reverse(f"admin:{name}") for name in ("webhooks", "webhooks_live", "index", "events", "replay_plan")]
    lists += [reverse("admin:webhooks_export", args=(kind,)) for kind in ("csv", "ndjson")]
    for pk in IDS:
        for path in lists:
            answer = stranger.get(path, {parameter: pk})
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
    for path in (
        "/api/v1/events",
        "/api/v1/events?limit=1000",
        *(f"/api/v1/events/{pk}" for pk in IDS),
        "/api/v1/explain?order=1253",
    ):
        answer = client.get(path, headers={"authorization": f"Bearer {key}"})
        assert answer.status_code < 500
        assert MARK not in content_of(answer)
        assert MAIL not in content_of(answer)


# ── Every field of every form ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def household(client, neighbour):
    """The owner of a shop in which every page has something to show and every form something to choose."""
    mine = shop_with_everything("Mine", "mine@klaviyo-demo.com")
    client.force_login(mine.memberships.get().user, backend=BACKEND)
    return mine


def test_every_form_is_found(client, household):
    fields = {(form.name, re.sub(r"^\d+-", "", field)) for form in forms_behind(client) for field in form.values}
    for wanted in WANTED_FIELDS:
        assert wanted in fields, wanted


WANTED_FIELDS = (
    ("connection_add", "campaigns"), ("connection_settings", "private_key"), ("connection_move", "account"),
    ("place_change", "role"), ("invite", "email"), ("source_add", "dialect"), ("key_add", "kind"),
    ("key_rotate", "days"), ("held_judge", "release"), ("history_import", "source"), ("product_import", "merchant"),
    ("events_product_add", "merchant"), ("mapping_preview", "body"), ("past_events", "since"),
    ("customer_note", "text"), ("alert_wishes", "kinds"), ("person_found", "email"), ("webhooks", "connection"),
)  # fmt: skip


def test_no_field_takes_what_is_the_neighbours(client, household, neighbour):
    before = everything_of(neighbour)
    wrong = []
    for form in forms_behind(client):
        for field in form.values.keys() - {"csrfmiddlewaretoken"}:
            for value in (neighbour.slug, FIRST):
                with undone() as wrote:
                    answer = client.generic(*form.request(field, str(value)))
                    text = content_of(answer).replace(f"{value}", "")
                    if answer.status_code >= 500 or MARK in text or MAIL in text:
                        wrong.append((form.path, field, value, answer.status_code))
                    if wrote and (everything_of(neighbour) != before or strays(household)):
                        wrong.append((form.path, field, value, "moved"))
    assert wrong == []


@contextmanager
def undone() -> Iterator[list[str]]:
    """Takes back whatever is done inside; yields the statements that were more than a look."""
    wrote: list[str] = []

    def noting(execute: Any, sql: str, *rest: Any) -> Any:
        if not sql.lstrip().startswith(LOOKS):
            wrote.append(sql)
        return execute(sql, *rest)

    with transaction.atomic(), connection.execute_wrapper(noting):
        yield wrote
        transaction.set_rollback(True)


def forms_behind(client, most: int = 250) -> list[Form]:
    """Every form of every page that links lead to, one of each kind, and the adding pages of the shell."""
    waiting, seen, found = [reverse("admin:index"), reverse("admin:events_product_add")], set(), {}
    while waiting and len(seen) < most:
        path = waiting.pop(0)
        shape = re.sub(r"=[^&]*", "=", re.sub(r"\d+", "#", path))
        if shape in seen or "logout" in path:
            continue
        seen.add(shape)
        answer = client.get(path)
        if answer.status_code != 200 or "html" not in answer["Content-Type"]:
            continue
        text = content_of(answer)
        waiting += [link.replace("&amp;", "&") for link in re.findall(r'href="(/app/[^"#]*)"', text)]
        waiting += re.findall(r'data-src="(/app/[^"#]*)"', text)
        for form in forms_of(text, path):
            if form.name not in ONES_OWN:
                found.setdefault((form.method, form.name, *sorted(form.values)), form)
    return list(found.values())


def strays(mine: Merchant) -> list[str]:
    """Relations that lead from a row of this merchant to a row of another's."""
    found = []
    for model in our_models():
        road = merchant_road(model)
        if road is None or model is Merchant:
            continue
        for field in (*model._meta.fields, *model._meta.many_to_many):
            target = field.related_model
            if target is None or target in (Merchant, KlaviyoAccount) or not issubclass(target, models.Model):
                continue
            other = merchant_road(target)
            if (
                other
                and model.objects.filter(**{road: mine.pk})
                .exclude(**{field.name: None})
                .exclude(**{f"{field.name}__{other}": mine.pk})
                .exists()
            ):
                found.append(f"{model._meta.label}.{field.name}")
    return found


def test_the_walk_means_rows_of_the_neighbour(neighbour):
    """In every table that belongs to merchants stands a row of theirs, and its id is one that the walk tries."""
    for model in our_models():
        road = merchant_road(model)
        if road and model._meta.pk.name == "id":
            ids = set(model.objects.filter(**{road: neighbour.pk}).values_list("pk", flat=True))
            assert ids, model._meta.label
            assert ids <= set(IDS), model._meta.label
            assert FIRST in ids, model._meta.label


def test_the_neighbour_was_there_all_the_time(client, neighbour):
    """The walk proves something: the neighbour's own owner sees the mark where the stranger does not."""
    client.force_login(neighbour.memberships.get().user, backend=BACKEND)
    for name in ("connections", "receive", "history", "events_product_changelist"):
        assert MARK in content_of(client.get(reverse(f"admin:{name}"))), name
