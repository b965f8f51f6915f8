"""Walks every address there is, by GET and by POST, as people who may do much, little or nothing: what changes.

Whatever is added to the addresses later is walked as well.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection as database
from django.db import transaction
from django.test import Client

from connections.models import Merchant
from tests.tenants import FIRST, count_from_far, shop_with_everything
from tests.test_stranger import ONES_OWN, addresses, filled
from tests.webhooks_log.shop import merchant, person, superuser

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"
WRITES = re.compile(r'^\s*(INSERT INTO|UPDATE|DELETE FROM)\s+"(\w+)"', re.IGNORECASE)
# Who looked at what; when a session was last used; how often somebody asked for a new password.
ALWAYS = {"connections_auditentry", "django_session", "connections_knock"}
# The secret of a second factor is made when its picture is first drawn, and does nothing before it is confirmed.
DRAWN = {("two_factor", "otp_totp_totpdevice")}
# Proven by a key of its own in every request, never by a cookie.
BY_KEY = ("api/",)


@pytest.fixture
def household() -> Merchant:
    """A shop with a row of everything; its ids are those that the walk fills in."""
    count_from_far()
    return shop_with_everything("Mine", "mine@klaviyo-demo.com")


@pytest.fixture
def owner(household, client) -> Client:
    client.force_login(household.memberships.get(role="owner").user, backend=BACKEND)
    return client


def places(shop: Merchant, most: int = 4) -> list[tuple[str, str]]:
    """(name, address with the shop's ids) of everything that can be asked for."""
    return [
        (name or "", path)
        for route, name, parameters in addresses()
        if not route.startswith(BY_KEY)
        for path in filled(route, parameters, shop.slug)[:most]
    ]


@contextmanager
def writes() -> Iterator[set[str]]:
    """The tables written to meanwhile."""
    tables: set[str] = set()

    def look(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if found := WRITES.match(sql):
            tables.add(found[2])
        return execute(sql, params, many, context)

    with database.execute_wrapper(look):
        yield tables


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


# ── Looking changes nothing ──────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("who", ["owner", "staff"])
def test_looking_at_a_page_changes_nothing(household, client, who) -> None:
    user = household.memberships.get(role="owner").user if who == "owner" else superuser()
    client.force_login(user, backend=BACKEND)
    changed = []
    for name, path in places(household):
        with undone(), writes() as tables:
            answer = client.get(path)
        assert answer.status_code < 500, path
        changed += [(name, path, table) for table in tables - ALWAYS if (name, table) not in DRAWN]
    assert changed == []


# ── Every change wants a token ───────────────────────────────────────────────────────────────────────────────────────
def test_nothing_is_changed_without_a_token(household) -> None:
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(superuser(), backend=BACKEND)
    for _, path in places(household, most=1):
        with undone(), writes() as tables:
            answer = careful.post(path, {"name": "planted", "reason": "planted"})
        assert answer.status_code in (403, 404, 405), path
        assert tables <= ALWAYS, (path, tables)


# ── Who may do little changes little ─────────────────────────────────────────────────────────────────────────────────
PLANTED = {
    "name": "Planted", "active": "1", "role": "owner", "account": "x", "days": "1", "since": "2020-01-01",
    "reason": "planted", "text": "planted", "judgement": "release", "do": "stop", "kinds": "silence",
    "email": "planted@klaviyo-demo.com", "again": "planted@klaviyo-demo.com", "url": "https://hooks.example.com/x",
    "body": "{}", "code": "123456", "kind": "bearer", "dialect": "v1", "offer_id": "9", "item_id": "9",
}  # fmt: skip
LEAVING = {("logout", "axes_accesslog")}
SUPPORT_WRITES = {  # what to hear by mail, and looking at Klaviyo anew; sending again needs a row that may go again
    ("alert_wishes", "webhooks_log_alertpreference"),
    ("connection_check", "connections_connection"),
    ("connection_check", "django_q_ormq"),
    ("customer_look", "connections_klaviyoaccount"),
}


def test_support_without_personal_data_changes_only_this(household, client) -> None:
    user = person(household, "support", sees_personal_data=False)
    client.force_login(user, backend=BACKEND)
    changed = set()
    for name, path in places(household):
        with undone(), writes() as tables:
            answer = client.post(path, {**PLANTED, "merchant": household.pk})
        assert answer.status_code < 500, path
        changed |= {(name, table) for table in tables - ALWAYS}
    assert changed <= SUPPORT_WRITES | LEAVING


@pytest.fixture
def stranger() -> Any:
    """The owner of another shop, whose own rows have other ids than those that the walk fills in."""
    count_from_far(FIRST + 1000)
    return person(merchant("Elsewhere"), "owner")


@pytest.mark.parametrize("who", ["nobody", "a stranger"])
def test_nobody_and_a_stranger_change_nothing(stranger, household, client, who) -> None:
    if who == "a stranger":
        client.force_login(stranger, backend=BACKEND)
    changed = set()
    for name, path in places(household):
        if name in ONES_OWN | {"filter_forget"}:  # deletes what is the person's own, which is nothing here
            continue
        with undone(), writes() as tables:
            client.post(path, {**PLANTED, "merchant": household.pk})
        changed |= {(name, path, table) for table in tables - ALWAYS}
    assert changed == set()


# ── Nobody is led away ───────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("evil", ["https://evil.test/", "//evil.test/"])
def test_no_address_leads_elsewhere(household, owner, evil) -> None:
    for _, path in places(household, most=1):
        if "logout" in path:
            continue
        with undone():
            told = (owner.get(path, {"next": evil}), owner.post(path, {**PLANTED, "next": evil}))
        assert all("evil.test" not in answer.get("Location", "") for answer in told), path
