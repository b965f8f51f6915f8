"""Sizes, gzip and chunks."""

import gzip
import io
import json

import pytest

from connections import keys
from events.models import Event, Refusal
from tests.events.door import an_event, post, send

pytestmark = pytest.mark.django_db
EVENT = json.dumps(an_event()).encode()


def test_gzip_is_stored_inflated(clear):
    assert send(clear, gzip.compress(EVENT), HTTP_CONTENT_ENCODING="gzip").status == 202
    assert bytes(Event.objects.get().body) == EVENT


def test_several_members_are_one_body(clear):
    packed = gzip.compress(EVENT[:50]) + gzip.compress(EVENT[50:])
    assert send(clear, packed, HTTP_CONTENT_ENCODING="gzip").status == 202


@pytest.mark.parametrize(
    ("body", "encoding", "status", "code"),
    [
        (gzip.compress(b" " * 6_000_000 + EVENT), "gzip", 413, "too_large"),
        (gzip.compress(EVENT)[:-20], "gzip", 400, "not_gzip"),
        (b"\x1f\x8b" + b"x" * 50, "gzip", 400, "not_gzip"),
        (EVENT, "gzip", 400, "not_gzip"),
        (EVENT, "br", 415, "encoding_unknown"),
        (gzip.compress(EVENT), "", 400, "not_utf8"),
        (b" " * 5_000_001, "", 413, "too_large"),
        (b"[" + b",".join([EVENT] * 1001) + b"]", "", 413, "too_many_events"),
        (b"[]", "", 422, "no_events"),
    ],
)
def test_what_cannot_be_taken_in_is_refused_clearly_and_kept(clear, body, encoding, status, code):
    answer = send(clear, body, HTTP_CONTENT_ENCODING=encoding)
    assert (answer.status, answer.json["code"]) == (status, code)
    kept = Refusal.objects.get()
    assert (kept.code, bytes(kept.body)) == (code, body[:250_000])
    assert kept.is_cut == (len(body) > 250_000)


def test_a_bomb_is_not_inflated_beyond_the_bound(clear):
    bomb = gzip.compress(b"[" + b" " * 200_000_000, compresslevel=9)
    assert send(clear, bomb, HTTP_CONTENT_ENCODING="gzip").status == 413


def test_a_body_of_unknown_length_is_read_to_its_end(clear):
    answer = send(
        clear,
        b"",
        CONTENT_LENGTH=None,
        HTTP_TRANSFER_ENCODING="chunked",
        **{"wsgi.input": io.BytesIO(EVENT), "wsgi.input_terminated": True},
    )
    assert (answer.status, bytes(Event.objects.get().body)) == (202, EVENT)


@pytest.mark.parametrize("content_type", ["application/x-ndjson", "application/json", "text/plain", None])
def test_a_stream_of_lines_is_read_whatever_it_is_called(clear, content_type):
    body = EVENT + b"\n" + json.dumps(an_event(2)).encode() + b"\n"
    answer = send(clear, body, CONTENT_TYPE=content_type)
    assert [one["status"] for one in answer.json["results"]] == ["accepted", "accepted"]


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data", "", None])
@pytest.mark.parametrize("body", [EVENT, gzip.compress(EVENT), b"\xef\xbb\xbf" + EVENT])
def test_a_secret_address_looks_at_the_bytes(source, content_type, body):
    token = keys.new_address(source, name="x")[1]
    assert post(f"/api/v1/ingest/{token}", body, CONTENT_TYPE=content_type).status == 200


def test_a_secret_address_says_207_only_where_something_was_refused(source):
    token = keys.new_address(source, name="x")[1]
    assert post(f"/api/v1/ingest/{token}/", [an_event(1), an_event(2)]).status == 200
    assert post(f"/api/v1/ingest/{token}", [an_event(1), {}]).status == 207


def test_a_list_of_nothing_but_refusals_is_no_success(clear):
    answer = send(clear, [{}, 7])
    assert (answer.status, answer.headers["Content-Type"]) == (422, "application/problem+json")
    assert [one["code"] for one in answer.json["results"]] == ["field_missing", "not_an_object"]
    assert not Event.objects.exists()


def test_the_kept_refusals_of_a_source_are_bounded(clear, monkeypatch):
    monkeypatch.setattr("events.refusals.KEPT_ROWS", 5)
    for _ in range(4):
        send(clear, [{}, {}, {}])
    assert Refusal.objects.count() == 5


def test_what_a_stranger_sends_is_not_kept():
    send("vk_stranger", {})
    assert not Refusal.objects.exists()
