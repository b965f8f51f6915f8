"""Whatever is thrown at the door: a clear answer, never a 500, and no yes without a committed row."""

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connections import keys
from events import auth
from events.models import Event
from tests.events.door import a_source, an_event, call, post, send

pytestmark = pytest.mark.django_db
KNOWN = {200, 202, 207, 400, 401, 403, 404, 405, 413, 415, 422, 429}
quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

ODD = st.sampled_from(["\0", "\ud800", "\u2028", "é", "'", '"', "\\", "NaN", "1e999", "\u202e", "\ufeff"])
TEXT = st.text(max_size=20) | ODD
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    [
        "webhook_type",
        "webhook_event",
        "webhook_event_id",
        "webhook_event_date",
        "webhook_data",
        "transaction_id",
        "order_id",
    ]
)
EVENTS = st.dictionaries(NAMES, VALUES) | st.builds(
    lambda changes: an_event() | changes, st.dictionaries(NAMES, VALUES, max_size=3)
)
DOCUMENTS = EVENTS | st.lists(EVENTS | VALUES, max_size=6) | VALUES


def bent(raw: bytes, cuts: list[tuple[int, bytes]]) -> bytes:
    """The bytes with pieces put in at odd places."""
    for at, piece in cuts:
        at %= len(raw) + 1
        raw = raw[:at] + piece + raw[at + len(piece) % 3 :]
    return raw


PIECES = st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3)), max_size=3)
BODIES = st.builds(lambda value, cuts: bent(json.dumps(value).encode(), cuts), DOCUMENTS, PIECES) | st.binary(
    max_size=60
)


@pytest.fixture
def source():
    auth.forget()
    return a_source()


def answered_as_it_should(answer, before: int) -> None:
    assert answer.status in KNOWN
    told = answer.json
    if answer.status >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert told["code"]
        assert told["detail"]
        assert Event.objects.count() == before
        return
    ids = [one["id"] for one in told["results"] if one["status"] != "refused"]
    assert ids
    assert set(ids) <= set(Event.objects.values_list("pk", flat=True))
    new = {one["id"] for one in told["results"] if one["status"] == "accepted"}
    assert Event.objects.count() == before + len(new)


@quick
@given(body=BODIES)
def test_any_body_with_a_key(source, body):
    clear = keys.new_bearer(source, name="x")[1]
    before = Event.objects.count()
    answered_as_it_should(send(clear, body), before)


@quick
@given(body=BODIES, encoding=st.sampled_from(["", "gzip", "br"]), packs=st.booleans())
def test_any_body_at_the_address_in_any_packing(source, body, encoding, packs):
    token = keys.new_address(source, name="x")[1]
    before = Event.objects.count()
    packed = gzip.compress(body) if packs else body
    answered_as_it_should(post(f"/api/v1/ingest/{token}", packed, HTTP_CONTENT_ENCODING=encoding), before)


@quick
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]),
    path=st.sampled_from(
        ["events", "events/1", "events/validate", "ingest/x", "signed/x", "events/99999999999999999999"]
    )
    | st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=20),
    header=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30),
)
def test_any_address_method_and_key_of_a_stranger(source, method, path, header):
    auth.forget()
    answer = call(method, f"/api/v1/{path}", b"{}", HTTP_AUTHORIZATION=f"Bearer {header}", HTTP_X_API_KEY=header)
    assert answer.status in KNOWN | {301} - {200, 202, 207}
    assert not Event.objects.exists()


@pytest.mark.parametrize("value", ["\0", "\ud800", "x" * 10_000, "☃" * 200])
@pytest.mark.parametrize("name", ["webhook_type", "webhook_event", "webhook_event_id", "webhook_event_date"])
def test_a_text_column_never_breaks(source, name, value):
    answer = send(keys.new_bearer(source, name="x")[1], an_event(**{name: value}))
    assert answer.status in (202, 422)
