"""Products: edited by hand, imported whole or not at all, and only one's own."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from events.models import Product
from tests.webhooks_log.shop import merchant, person

pytestmark = pytest.mark.django_db
GOOD = "offer_id,item_id,offer_name,name,sku,categories\n1,2,Monthly Vitamins,Vitamin D3,VIT-D3,Supplements|Daily\n"


@pytest.fixture
def shop():
    return merchant()


@pytest.fixture
def owner(client, shop):
    client.force_login(person(shop, "owner"), backend="django.contrib.auth.backends.ModelBackend")
    return client


def upload(client, shop, text: str | bytes):
    content = text if isinstance(text, bytes) else text.encode()
    file = SimpleUploadedFile("products.csv", content, "text/csv")
    return client.post(reverse("admin:product_import"), {"merchant": shop.pk, "file": file})


def test_a_good_file_is_stored(owner, shop):
    assert upload(owner, shop, GOOD).status_code == 302
    one = Product.objects.get(merchant=shop)
    assert (one.name, one.sku, one.categories, one.is_edited) == (
        "Vitamin D3",
        "VIT-D3",
        ["Supplements", "Daily"],
        True,
    )


def test_importing_again_replaces(owner, shop):
    upload(owner, shop, GOOD)
    upload(owner, shop, GOOD.replace("Vitamin D3", "Vitamin D4"))
    assert Product.objects.get(merchant=shop).name == "Vitamin D4"


def test_a_spreadsheets_semicolons_and_byte_order_mark_are_read(owner, shop):
    upload(owner, shop, "\ufeff" + GOOD.replace(",", ";"))
    assert Product.objects.get(merchant=shop).sku == "VIT-D3"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "first line must name the columns"),
        (GOOD + ",,,nameless,,\n", "Line 3: neither offer_id nor item_id"),
        (GOOD + "3,4,,x,y" + "y" * 101 + ",\n", "Line 3: sku is longer than 100"),
        (b"offer_id\n\xff\n", "not UTF-8"),
    ],
)
def test_one_wrong_line_stores_nothing_and_is_named(owner, shop, text, words):
    assert words in upload(owner, shop, text).content.decode()
    assert not Product.objects.exists()


def test_an_edited_product_is_marked_so(owner, shop):
    one = Product.objects.create(merchant=shop, offer_id="1", item_id="2")
    path = reverse("admin:events_product_change", args=(one.pk,))
    owner.post(path, {"name": "Vitamin D3", "categories": "Supplements, Daily"})
    one.refresh_from_db()
    assert (one.name, one.categories, one.is_edited) == ("Vitamin D3", ["Supplements", "Daily"], True)


def test_a_product_is_not_added_to_anothers_shop(owner):
    other = merchant()
    owner.post(reverse("admin:events_product_add"), {"merchant": other.pk, "offer_id": "1", "name": "Planted"})
    upload(owner, other, GOOD)
    assert not Product.objects.exists()


def test_anothers_product_is_not_shown(owner):
    theirs = Product.objects.create(merchant=merchant(), offer_id="1", name="Their secret")
    assert "Their secret" not in owner.get(reverse("admin:events_product_changelist")).content.decode()
    assert owner.get(reverse("admin:events_product_change", args=(theirs.pk,))).status_code == 302


def test_support_may_read_products_but_not_change_them(client, shop):
    client.force_login(person(shop), backend="django.contrib.auth.backends.ModelBackend")
    one = Product.objects.create(merchant=shop, offer_id="1", name="Vitamins")
    path = reverse("admin:events_product_change", args=(one.pk,))
    assert client.get(path).status_code == 200
    assert client.post(path, {"name": "Other"}).status_code == 403
    assert client.get(reverse("admin:product_import")).status_code == 403
