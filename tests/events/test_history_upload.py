"""An owner brings the shop's orders of before: taken in as history, sent to nobody, bounded, and safe to repeat."""

import gzip
import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from connections import uploads
from connections.models import AuditEntry
from events import history_upload
from events.models import Event
from tests.events.door import an_event
from tests.events.test_ingest_command import lines
from tests.webhooks_log.shop import connection, merchant, person, source
from webhooks_log import dispatch
from webhooks_log.models import Delivery

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture
def shop():
    return merchant()


@pytest.fixture
def owner(client, shop):
    client.force_login(person(shop, "owner"), backend=BACKEND)
    return client


def bring(client, to, content: bytes, name: str = "history.ndjson"):
    upload = SimpleUploadedFile(name, content)
    return client.post(reverse("admin:history_import"), {"source": to.pk, "file": upload})


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("form", [lines(3), json.dumps([an_event(n) for n in range(1, 4)]).encode()])
def test_a_list_or_lines_are_taken_in_gzipped_or_not(owner, shop, form, pack):
    text = bring(owner, source(shop), pack(form)).content.decode()
    assert "3 new, 0 known already" in text
    assert "The history is complete as far as this file goes." in text
    assert set(Event.objects.values_list("history", "backfill", "authenticated_by")) == {(True, False, "upload")}


def test_nothing_of_it_is_sent(owner, shop):
    connection(shop)
    bring(owner, source(shop), lines(3))
    dispatch.run()
    assert Event.objects.filter(state="received").count() == 0
    assert not Delivery.objects.exists()


def test_the_same_file_again_changes_nothing(owner, shop):
    bring(owner, source(shop), lines(3))
    assert "0 new, 3 known already" in bring(owner, source(shop), lines(3)).content.decode()
    assert Event.objects.count() == 3


def test_a_whole_history_is_remembered_and_written_down(owner, shop):
    bring(owner, source(shop), lines(2))
    assert source(shop).history_imported_at is not None
    entry = AuditEntry.objects.get(action="imported history")
    assert entry.changes == {"new": [None, 2], "refused": [None, 0]}


def test_a_history_with_a_gap_is_none_and_the_record_is_named(owner, shop):
    text = bring(owner, source(shop), lines(1) + b'{"webhook_type": 1}\n' + lines(1, start=2)).content.decode()
    assert "2 new, 0 known already, 1 refused" in text
    assert "Record 2: webhook_type must be a text." in text
    assert source(shop).history_imported_at is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no json at all", "JSON"),
        (b"[1, 2", "JSON"),
        (gzip.compress(lines(5000))[:-400], "breaks off"),
        (b"\x1f\x8bnot really", "breaks off"),
    ],
)
def test_what_cannot_be_read_is_said_in_words(owner, shop, content, words):
    answer = bring(owner, source(shop), content)
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert source(shop).history_imported_at is None


def test_a_small_file_that_unpacks_to_a_large_one_is_stopped(owner, shop, monkeypatch):
    monkeypatch.setattr(history_upload, "MOST_UNPACKED", 2_000_000)
    bomb = gzip.compress(b" " * 20_000_000)
    assert "Unpacked, the file has more than 2 MB" in bring(owner, source(shop), bomb).content.decode()


def test_a_file_that_is_too_large_is_not_read(owner, shop, monkeypatch):
    monkeypatch.setattr(history_upload, "MOST_BYTES", 100)
    assert "Split it, or compress it." in bring(owner, source(shop), lines(3)).content.decode()
    assert not Event.objects.exists()


def test_no_request_is_kept_beyond_all_measure(owner, shop, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_BYTES", 1000)
    assert bring(owner, source(shop), lines(30)).status_code == 400


def test_without_a_source_the_way_to_one_is_shown(owner):
    assert "First let Vrio in" in owner.get(reverse("admin:history_import")).content.decode()


def test_anothers_source_is_no_choice(owner, shop):
    other = source(merchant("Rival"))
    answer = bring(owner, other, lines(3))
    assert "Select a valid choice" in answer.content.decode() or "First let Vrio in" in answer.content.decode()
    assert not Event.objects.exists()


def test_support_cannot_import(client, shop):
    client.force_login(person(shop), backend=BACKEND)
    assert client.get(reverse("admin:history_import")).status_code == 403
