"""The live tail: late commits, changes of state, filters, and nobody else's rows."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.urls import reverse

from tests.webhooks_log import shop

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"
LATER = shop.NOON + timedelta(minutes=1)


def look(client: Any, since: datetime, query: str = "") -> Any:
    with time_machine.travel(LATER, tick=False):
        return client.get(
            f"{reverse('admin:webhooks_live')}?{query}&changed_since={since.isoformat().replace('+', '%2B')}"
        )


def ids(answer: Any) -> list[int]:
    return [line.pk for line in answer.context["lines"]]


def test_nothing_new_is_204_and_names_the_next_moment(support, klaviyo):
    shop.delivery(klaviyo, updated_at=shop.NOON)
    answer = look(support, shop.NOON + timedelta(seconds=30))
    assert answer.status_code == 204
    assert answer["X-Since"] == (LATER - timedelta(seconds=5)).isoformat()


def test_a_row_with_a_smaller_id_that_changed_late_is_told(support, klaviyo):
    early = shop.delivery(klaviyo, updated_at=LATER)
    shop.delivery(klaviyo, updated_at=shop.NOON)
    assert ids(look(support, shop.NOON + timedelta(seconds=30))) == [early.pk]


def test_a_row_that_left_the_filter_is_told_as_gone(support, klaviyo):
    row = shop.delivery(klaviyo, state="delivered", updated_at=LATER)
    answer = look(support, shop.NOON, "state=queued")
    assert ids(answer) == []
    assert f'data-gone="{row.pk}"' in answer.content.decode()


def test_more_changes_than_can_be_told_answer_with_the_newest_page(support, klaviyo, monkeypatch):
    monkeypatch.setattr("webhooks_log.live.MAX_CHANGES", 3)
    rows = [shop.delivery(klaviyo, updated_at=LATER) for _ in range(5)]
    assert ids(look(support, shop.NOON)) == [row.pk for row in reversed(rows)]


def test_only_the_scope_is_told(support, klaviyo):
    sarah, tom = (shop.customer(klaviyo.merchant, f"{name}@klaviyo-demo.com") for name in ("sarah", "tom"))
    hers = shop.delivery(klaviyo, sarah, updated_at=LATER)
    shop.delivery(klaviyo, tom, updated_at=LATER)
    assert ids(look(support, shop.NOON, f"customer={sarah.pk}")) == [hers.pk]


def test_nothing_of_another_merchant_is_told(support):
    other = shop.connection(shop.merchant("Other"))
    tom = shop.customer(other.merchant)
    shop.delivery(other, tom, updated_at=LATER)
    assert look(support, shop.NOON).status_code == 204
    assert look(support, shop.NOON, f"customer={tom.pk}").status_code == 404
    assert look(support, shop.NOON, f"connection={other.pk}").status_code == 404


@pytest.mark.parametrize("since", ["", "nonsense", "2026-13-45T99:00:00+00:00", "2026-03-02T17:00:00"])
def test_a_moment_that_cannot_be_read_is_no_error(support, klaviyo, since):
    assert support.get(f"{reverse('admin:webhooks_live')}?changed_since={since}").status_code in (200, 204)
