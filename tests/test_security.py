"""What SECURITY.md promises about every page at once: methods, forms, permissions, sign-in, redirects, deployment."""

import json
import os
import re
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from connections.models import Membership
from events.models import Product
from tests.webhooks_log import shop

ROOT = Path(__file__).resolve().parent.parent
BACKEND = "django.contrib.auth.backends.ModelBackend"
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
OPEN = {"login", "jsi18n", "logout"}  # of the shell, for whoever has not signed in
CAPTURED = re.compile(r"\(\?P<\w+>[^)]*\)|<(?:(\w+):)?\w+>")


def pages(resolver: Any = None, prefix: str = "/") -> Iterator[tuple[str, Any, str]]:
    """(address with every capture filled in, view, name) of every page of the shell."""
    for entry in (resolver or get_resolver()).url_patterns:
        address = prefix + filled(str(entry.pattern))
        if isinstance(entry, URLResolver):
            yield from pages(entry, address)
        elif isinstance(entry, URLPattern) and address.startswith("/app/"):
            yield address, entry.callback, entry.name or ""


def filled(pattern: str) -> str:
    return (
        CAPTURED.sub(lambda found: "x" if found[1] in ("slug", "str", "path") else "1", pattern).lstrip("^").rstrip("$")
    )


PAGES = sorted({(address, name) for address, _, name in pages()})
OURS = [(address, name) for address, name in PAGES if name not in OPEN and "password" not in name]


def methods_of(view: Any) -> list[str]:
    """What `require_http_methods` around a view lets through; nothing where it is not there."""
    while view is not None:
        for cell in getattr(view, "__closure__", None) or ():
            if isinstance(cell.cell_contents, list) and "POST" in cell.cell_contents:
                return cell.cell_contents
        view = getattr(view, "__wrapped__", None)
    return []


WRITING = sorted({name for _, view, name in pages() if methods_of(view) == ["POST"] and name not in OPEN})


def address_of(name: str) -> str:
    return next(address for address, known in PAGES if known == name)


def test_the_walk_finds_the_pages_it_is_about() -> None:
    assert {"connection_switch", "connection_archive", "invite", "person_erase", "alert_wishes"} <= set(WRITING)


@pytest.mark.django_db
@pytest.mark.parametrize("name", WRITING)
def test_what_changes_state_needs_post_and_a_token(name: str) -> None:
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(get_user_model().objects.create_superuser("root", password="secret"), backend=BACKEND)
    assert careful.get(address_of(name)).status_code == 405
    assert careful.post(address_of(name)).status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize(("address", "name"), OURS)
def test_a_stranger_gets_nothing_but_the_way_to_sign_in(client: Client, address: str, name: str) -> None:
    for answer in (client.get(address), client.post(address)):
        assert answer.status_code in (301, 302, 404, 405)
        if answer.status_code == 302:
            assert answer["Location"].startswith("/app/login/") or answer["Location"].startswith("/app/")


@pytest.mark.django_db
@pytest.mark.parametrize("name", WRITING)
def test_a_person_of_another_merchant_changes_nothing(client: Client, name: str) -> None:
    mine, theirs = shop.merchant("Mine"), shop.merchant("Theirs")
    connection = shop.connection(theirs)
    shop.delivery(connection, shop.customer(theirs))
    client.force_login(shop.person(mine, "owner"), backend=BACKEND)
    before = snapshot(theirs)
    client.post(address_of(name), {"merchant": theirs.pk, "name": "Klaviyo Production", "email": shop.EMAIL})
    assert snapshot(theirs) == before


def snapshot(merchant: Any) -> list[Any]:
    """Everything of a merchant that a button could change."""
    merchant.refresh_from_db()
    rows = (merchant.connections, merchant.customers, merchant.invitations, merchant.memberships, merchant.replays)
    return [list(row.order_by("pk").values()) for row in rows]


@pytest.mark.django_db
def test_somebody_without_a_place_is_not_let_in_at_all(client: Client) -> None:
    client.force_login(get_user_model().objects.create_user("nobody", password="secret"), backend=BACKEND)
    for address, _ in OURS[:20]:
        assert client.get(address).status_code in (301, 302, 403, 404, 405)


# ── Django's own pages ───────────────────────────────────────────────────────────────────────────────────────────────
def test_the_queues_insides_and_the_logs_of_sign_ins_are_no_pages() -> None:
    registered = {model._meta.app_label for model in admin.site._registry}
    assert registered <= {"auth", "connections", "events", "webhooks_log"}


@pytest.mark.django_db
def test_nobody_deletes_or_edits_in_bulk(client: Client, rf: Any) -> None:
    request = rf.get("/")
    request.user = get_user_model().objects.create_superuser("root", password="secret")
    for page in admin.site._registry.values():
        assert not page.has_delete_permission(request)
        assert "delete_selected" not in page.get_actions(request)


@pytest.mark.django_db
def test_staff_delete_nothing_by_any_address(client: Client) -> None:
    merchant = shop.merchant()
    product = Product.objects.create(merchant=merchant, offer_id="1", name="Vitamin")
    root = shop.superuser()
    client.force_login(root, backend=BACKEND)
    for row in (merchant, product, root):
        app, model = row._meta.app_label, row._meta.model_name
        address = reverse(f"admin:{app}_{model}_delete", args=(row.pk,))
        assert (client.get(address).status_code, client.post(address, {"post": "yes"}).status_code) == (403, 403)
        chosen = {"action": "delete_selected", "_selected_action": row.pk, "post": "yes", "select_across": "1"}
        client.post(reverse(f"admin:{app}_{model}_changelist"), chosen)
        assert type(row).objects.filter(pk=row.pk).exists()


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["django_q/ormq", "django_q/task", "django_q/schedule", "axes/accessattempt", "csp"])
def test_other_packages_pages_are_not_there_for_staff_either(client: Client, page: str) -> None:
    client.force_login(shop.superuser(), backend=BACKEND)
    for address in (f"/app/{page}/", f"/app/{page}/add/", f"/app/{page}/1/change/", f"/app/{page}/1/delete/"):
        assert (client.get(address).status_code, client.post(address).status_code) == (404, 404)


# ── Signing in ───────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.django_db
def test_guessing_a_password_is_slowed_and_a_right_one_then_does_not_help(client: Client, settings: Any) -> None:
    cache.clear()
    merchant = shop.merchant()
    user = get_user_model().objects.create_user("olga", password="right")
    Membership.objects.create(user=user, merchant=merchant, role="owner")
    guess = {"username": "olga", "password": "wrong"}
    for _ in range(settings.AXES_FAILURE_LIMIT):
        assert client.post(reverse("admin:login"), guess).status_code in (200, 403, 429)
    assert client.post(reverse("admin:login"), guess | {"password": "right"}).status_code in (403, 429)
    assert "_auth_user_id" not in client.session


@pytest.mark.django_db
@pytest.mark.parametrize("elsewhere", ["https://evil.test/", "//evil.test/", "/\\evil.test"])
def test_signing_in_leads_nowhere_else(client: Client, elsewhere: str) -> None:
    user = get_user_model().objects.create_superuser("root", password="secret")
    answer = client.post(
        f"{reverse('admin:login')}?next={elsewhere}",
        {"username": user.username, "password": "secret", "next": elsewhere},
    )
    assert "evil" not in answer.get("Location", "")


@pytest.mark.django_db
def test_every_page_brings_the_headers_that_shut_doors(client: Client) -> None:
    answer = client.get(reverse("admin:login"))
    policy = answer["Content-Security-Policy"]
    assert "object-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    assert (answer["X-Content-Type-Options"], answer["Referrer-Policy"]) == ("nosniff", "same-origin")


# ── Deployment and the document ──────────────────────────────────────────────────────────────────────────────────────
def production() -> dict[str, str]:
    """The environment as documented, with secrets and a database of its own."""
    documented = dict(
        re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / "deploy/production.env.example").read_text(), re.MULTILINE)
    )
    secrets = dict.fromkeys(("SECRET_KEY", "FINGERPRINT_KEY"), string.ascii_letters)
    environ = {**os.environ, **documented, **secrets, "ENV_FILE": os.devnull, "DATABASE_URL": "sqlite://:memory:"}
    environ.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)  # the browser tests of this process set it for themselves
    return environ | {"FIELD_KEYS": "b25seS1mb3ItdGVzdHMtb25seS1mb3ItdGVzdHMhISE="}


def test_the_documented_production_environment_deploys_without_a_warning() -> None:
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    told = subprocess.run(command, cwd=ROOT, env=production(), capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert "no issues" in told.stdout


LOOK = """
import json, django
django.setup()
from django.conf import settings
from django.test import Client
page, plain = (Client(HTTP_HOST="viaduct.example.com").get("/app/login/", secure=secure) for secure in (True, False))
cookies = {name: dict(cookie) for name, cookie in page.cookies.items()}
print(json.dumps([dict(page.headers), cookies, settings.SESSION_COOKIE_NAME, plain.status_code, plain["Location"]]))
"""


def test_in_production_browsers_keep_to_tls_and_cookies_to_themselves() -> None:
    environ = production() | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    told = subprocess.run(
        [sys.executable, "-c", LOOK], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    headers, cookies, session, status, leads_to = json.loads(told.stdout.splitlines()[-1])
    assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
    assert (status, leads_to) == (301, "https://viaduct.example.com/app/login/")
    assert session == "__Host-session"
    cookie = cookies["__Host-csrf"]
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, "Lax")
    assert (cookie["path"], cookie["domain"]) == ("/", "")


def test_every_threat_names_the_test_that_shows_it() -> None:
    table = SECURITY.partition("| Threat |")[2].partition("\n\n")[0].splitlines()[2:]
    assert len(table) > 25
    assert [line for line in table if not re.search(r"`tests/[\w/]+\.py::test_\w+`", line)] == []


def test_every_test_that_the_threat_model_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", SECURITY)
    assert len(named) > 20
    missing = [f"{path}::{test}" for path, test in named if f"def {test}(" not in (ROOT / path).read_text()]
    assert missing == []
