"""A filtered list as a file: streamed, safe in a spreadsheet, recorded."""

import csv
import io
import json
from typing import Any

import pytest
from django.urls import reverse

from connections.models import AuditEntry
from tests.webhooks_log import shop

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"


def export(client: Any, kind: str, query: str = "") -> Any:
    answer = client.get(f"{reverse('admin:webhooks_export', args=(kind,))}?{query}")
    assert answer.streaming
    return b"".join(answer.streaming_content).decode()


def test_csv_holds_the_filtered_rows_newest_first(support, klaviyo):
    shop.delivery(klaviyo, unique_id="one", state="failed", reason="rejected")
    shop.delivery(klaviyo, unique_id="two")
    rows = list(csv.DictReader(io.StringIO(export(support, "csv"))))
    assert [row["unique_id"] for row in rows] == ["two", "one"]
    assert rows[1]["reason"].startswith("Klaviyo refused the content.")
    assert rows[1]["created_at"] == "2026-03-02T12:00:02-05:00"
    assert len(list(csv.DictReader(io.StringIO(export(support, "csv", "state=failed"))))) == 1


def test_ndjson_is_one_object_a_line(support, klaviyo):
    shop.delivery(klaviyo, unique_id="é-1")
    assert json.loads(export(support, "ndjson"))["unique_id"] == "é-1"


def test_more_rows_than_a_chunk_all_come_once(support, klaviyo, monkeypatch):
    monkeypatch.setattr("webhooks_log.export.CHUNK", 2)
    for number in range(5):
        shop.delivery(klaviyo, unique_id=f"u{number}")
    lines = export(support, "ndjson").splitlines()
    assert [json.loads(line)["unique_id"] for line in lines] == ["u4", "u3", "u2", "u1", "u0"]


@pytest.mark.parametrize("query", ["", "state=delivered", "metric=Placed+Order"])
def test_rows_of_several_connections_come_in_one_order(support, klaviyo, monkeypatch, query):
    monkeypatch.setattr("webhooks_log.export.CHUNK", 2)
    second = shop.connection(klaviyo.merchant, "Klaviyo B")
    for number, place in enumerate([klaviyo, second, second, second, klaviyo]):
        shop.delivery(place, unique_id=f"u{number}")
    lines = export(support, "ndjson", query).splitlines()
    assert [json.loads(line)["unique_id"] for line in lines] == ["u4", "u3", "u2", "u1", "u0"]


@pytest.mark.parametrize("evil", ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2", "\t=1"])
def test_no_cell_is_a_formula(support, klaviyo, evil):
    shop.delivery(klaviyo, unique_id=evil)
    assert next(csv.DictReader(io.StringIO(export(support, "csv"))))["unique_id"] == f"'{evil}"


def test_an_export_is_recorded_with_its_filter(support, klaviyo):
    export(support, "csv", "state=failed")
    entry = AuditEntry.objects.get(action="deliveries exported")
    assert entry.merchant == klaviyo.merchant
    assert entry.reason == "csv: state=failed"


def test_nothing_of_another_merchant_is_exported(support):
    other = shop.connection(shop.merchant("Other"))
    shop.delivery(other, unique_id="theirs")
    assert "theirs" not in export(support, "csv")
    address = reverse("admin:webhooks_export", args=("csv",))
    assert support.get(f"{address}?merchant={other.merchant.slug}").status_code == 404
    assert support.get(f"{address}?connection={other.pk}").status_code == 404
