"""One search box: whatever support has in hand leads to the right screen."""

from typing import Any

import pytest
from django.urls import reverse

from tests.webhooks_log import shop

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture
def sarah(klaviyo: Any) -> Any:
    return shop.customer(klaviyo.merchant, vrio_id="90017")


@pytest.fixture
def row(klaviyo: Any, sarah: Any) -> Any:
    told = shop.event(
        klaviyo.merchant,
        customer=sarah,
        event_id="evt-abc",
        order_id="order-5",
        transaction_id="t-1668",
        order_offer_id="sub-9",
        tracking_number="1Z123456789",
    )
    found = shop.delivery(klaviyo, sarah, shop.message(), event=told, order_id="order-5")
    shop.call(found, klaviyo_request_id="5e82e068-1111")
    return found


def find(client: Any, asked: str) -> Any:
    return client.get(reverse("admin:find"), {"q": asked})


@pytest.mark.parametrize(
    "asked",
    [shop.EMAIL, "Sarah.Mason@Klaviyo-Demo.com", "90017", "sarah mason", "MASON", "+15551234567", "(555) 123-4567"],
)
def test_a_customer_is_found(support, row, sarah, asked):
    assert find(support, asked)["Location"] == reverse("admin:customer_webhooks", args=(sarah.pk,))


@pytest.mark.parametrize("asked", ["evt-abc", "t-1668", "sub-9", "1Z123456789"])
def test_an_event_is_found_by_each_of_its_numbers(support, row, asked):
    assert find(support, asked)["Location"] == f"{reverse('admin:webhooks')}?event={row.event_id}"


def test_an_order_is_found(support, row, klaviyo):
    assert find(support, "order-5")["Location"] == (
        f"{reverse('admin:webhooks')}?order=order-5&merchant={klaviyo.merchant.slug}"
    )


def test_a_call_is_found_by_klaviyos_request_id(support, row):
    assert find(support, "5e82e068-1111")["Location"] == reverse("admin:delivery", args=(row.pk,))


def test_several_hits_are_listed(support, row, klaviyo):
    shop.customer(klaviyo.merchant, "tom@klaviyo-demo.com", first_name="Tom", phone_e164="")
    hits = find(support, "Mason").context["hits"]
    assert {hit.title for hit in hits} == {shop.EMAIL, "tom@klaviyo-demo.com"}


@pytest.mark.parametrize("asked", [shop.EMAIL, "90017", "evt-abc", "t-1668", "order-5", "1Z123456789", "5e82e068-1111"])
def test_a_stranger_finds_nothing(client, row, asked):
    client.force_login(shop.person(shop.merchant("Other")), backend=BACKEND)
    answer = find(client, asked)
    assert answer.status_code == 200
    assert answer.context["hits"] == []


def test_without_the_permission_people_are_found_by_vrios_id_only(client, klaviyo, row, sarah):
    client.force_login(shop.person(klaviyo.merchant, sees_personal_data=False), backend=BACKEND)
    for asked in (shop.EMAIL, "+15551234567", "sarah mason"):
        assert find(client, asked).context["hits"] == [], asked
    assert find(client, "90017").status_code == 302


@pytest.mark.parametrize(
    "asked", ["", " ", "x" * 500, "\x00", "'; DROP TABLE", "%", "<script>", "é" * 90, "@", "0" * 80]
)
def test_odd_questions_are_answered(support, row, asked):
    answer = find(support, asked)
    assert answer.status_code == 200
    assert '<script>"' not in answer.content.decode()


def test_a_search_asks_little_and_scans_nothing(support, row, django_assert_max_num_queries):
    with django_assert_max_num_queries(26) as queries:
        find(support, "nobody here")
    assert not [query for query in queries.captured_queries if "LIKE" in query["sql"].upper()]


PAGES = (
    "index", "webhooks", "answers", "events", "customers", "alerts", "events_product_changelist", "connections",
    "connection_catalogue", "receive", "mapping_preview", "people", "history", "privacy", "two_factor", "replays",
)  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_every_page_has_the_search_box(client, klaviyo, name):
    client.force_login(shop.person(klaviyo.merchant, "owner"), backend=BACKEND)
    html = client.get(reverse(f"admin:{name}"), follow=True).content.decode()
    assert f'role="search" action="{reverse("admin:find")}"' in html
