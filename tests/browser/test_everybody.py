"""For everybody: screen readers, phones, small and large screens, the dark, other time zones. Every page is looked at.

The pages are found by following links, so that one added later is looked at too.
"""

import re

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.core import mail
from django.urls import reverse

from connections import people
from tests.browser.keys import press
from tests.tenants import shop_with_everything
from tests.webhooks_log.shop import connection, merchant, person, refused_phone, superuser

pytestmark = pytest.mark.django_db(transaction=True)
BACKEND = "django.contrib.auth.backends.ModelBackend"
NARROW, WIDE, WIDER = ({"width": width, "height": 900} for width in (390, 1280, 1600))
ASK = "asked => axe.run(asked).then(told => told.violations)"  # only these cross over to us: the rest is megabytes
WITHOUT_A_LINK = ("password_change", "mapping_preview")


@pytest.fixture
def shop():
    """A shop in which every page has something to show."""
    full = shop_with_everything("Harbor Vitamins", "sarah@klaviyo-demo.com")
    refused_phone(full.connections.get(), full.customers.first())
    connection(full, "Klaviyo EU", state="key_refused", state_detail="Klaviyo does not accept this private API key.")
    return full


@pytest.fixture
def owner(shop):
    return shop.memberships.get().user


def pages_of(client, user) -> list[str]:
    """One page of each kind that this person can reach by links."""
    client.force_login(user, backend=BACKEND)
    waiting, found = [reverse("admin:index"), *(reverse(f"admin:{name}") for name in WITHOUT_A_LINK)], {}
    while waiting:
        path = waiting.pop(0)
        kind = re.sub(r"\d+", "#", path.partition("?")[0])
        if kind in found or "logout" in path:
            continue
        answer = client.get(path)
        is_page = answer.status_code == 200 and answer["Content-Type"].startswith("text/html") and not answer.streaming
        found[kind] = path if is_page else ""
        if is_page:
            waiting += [
                link.replace("&amp;", "&") for link in re.findall(r'href="(/app/[^"#]*)"', answer.content.decode())
            ]
    return [path for path in found.values() if path]


def test_the_walk_finds_the_pages(client, owner):
    found = " ".join(pages_of(client, owner))
    for name in ("connection_catalogue", "people", "history", "receive", "history_import", "product_import", "alerts"):
        assert reverse(f"admin:{name}") in found, name
    for part in ("/settings/", "/past-events/", "/why/", "/webhooks/", "/privacy/", "/two-factor/"):
        assert part in found, part


@pytest.mark.parametrize(("sizes", "first", "then"), [((WIDE, WIDER), "light", "dark"), ((NARROW,), "dark", "light")])
def test_every_page_fits_and_axe_finds_nothing_serious(page, client, owner, log_in, sizes, first, then):
    """Every rule on small and large; the rules about colours once more in the other light, a class of the page."""
    log_in(owner)
    found = {}
    for path in pages_of(client, owner):
        page.emulate_media(color_scheme=first, reduced_motion="reduce")
        page.set_viewport_size(sizes[0])
        found[path] = serious(page, path)
        page.emulate_media(color_scheme=then)
        page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", then == "dark")
        found[path] += judged(page, {"runOnly": ["color-contrast", "link-in-text-block"]}) + too_wide(page, sizes)
    assert {path: problems for path, problems in found.items() if problems} == {}


def test_axe_finds_nothing_serious_where_one_is_not_signed_in(page, owner, shop):
    _, token = people.invite(shop, "new@klaviyo-demo.com", "support", owner)
    paths = ("/app/login/", "/password/", "/password/sent/", f"/join/?t={token}")
    found = {path: serious(page, path) for path in paths}
    assert {path: problems for path, problems in found.items() if problems} == {}


def test_a_forgotten_password_is_asked_for_with_a_button_one_can_see(page, owner):
    page.goto("/app/login/")
    page.get_by_text("Forgotten your password").click()
    page.get_by_label("Email").fill(owner.email)
    button = page.get_by_role("button", name="Send the link")
    assert button.evaluate("one => getComputedStyle(one).backgroundColor") not in (
        "rgba(0, 0, 0, 0)",
        "rgb(255, 255, 255)",
    )
    button.click()
    page.get_by_text("a mail is on its way").wait_for()
    assert owner.email in mail.outbox[0].to


def test_axe_finds_nothing_serious_on_the_pages_of_staff(page, shop, client, log_in):
    staff = superuser()
    log_in(staff)
    mine = set(pages_of(client, shop.memberships.get().user))
    found = {path: serious(page, path) for path in pages_of(client, staff) if path not in mine}
    assert found
    assert {path: problems for path, problems in found.items() if problems} == {}


def serious(page, path: str) -> list[str]:
    """What axe calls serious or critical on the whole page, the shell's frame included; what folds open is open."""
    page.goto(path)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.locator("html:not([x-cloak])").wait_for()
    return judged(page)


def judged(page, options: dict | None = None) -> list[str]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    told = page.evaluate(ASK, {"resultTypes": ["violations"], **(options or {})})
    return [
        f"{rule['id']}: {node['html'][:200]}"
        for rule in told
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def too_wide(page, sizes: tuple[dict[str, int], ...]) -> list[str]:
    """At which of these sizes the page is wider than its window."""
    found = []
    for size in sizes:
        page.set_viewport_size(size)
        if (width := page.evaluate("document.documentElement.scrollWidth")) > size["width"]:
            found.append(f"{width} wide in a window of {size['width']}")
    return found


@pytest.mark.parametrize(("width", "is_open"), [(1279, False), (1280, True), (1600, True)])
def test_the_menu_stands_open_where_there_is_room(page, owner, log_in, width, is_open):
    log_in(owner)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto("/app/")
    menu = page.locator("#nav-sidebar").get_by_role("link", name="Webhooks")
    menu.wait_for(state="visible" if is_open else "hidden")
    page.get_by_role("button", name="Show or hide the menu").locator("visible=true").first.click()
    menu.wait_for(state="hidden" if is_open else "visible")
    page.reload()
    menu.wait_for(state="hidden")


def test_the_menu_and_the_account_need_no_mouse(page, owner, log_in):
    log_in(owner)
    page.set_viewport_size(NARROW)
    page.goto("/app/")
    press(page, "Show or hide the menu")
    press(page, "Connections")
    page.wait_for_url("**/app/connections/")
    page.set_viewport_size(WIDE)
    press(page, owner.get_username())
    press(page, "Dark")
    page.locator("html.dark").wait_for()
    press(page, "Log out")
    page.wait_for_url("**/logout/")


def test_every_moment_is_shown_in_the_merchants_zone(page, log_in):
    shop = merchant("Harbor Vitamins")
    owner = person(shop, "owner")
    row = connection(shop, checked_at="2026-03-02T17:00:00Z")
    shop.time_zone = "Australia/Sydney"
    shop.save()
    log_in(owner)
    page.goto(f"/app/connections/{row.pk}/")
    assert page.get_by_text("Mar 3, 2026, 04:00").is_visible()
