"""The door: prove who calls, read what they sent, have it stored, answer, ring.

Where Vrio's requests enter the corridor. Plain Django views: Django REST framework would cost as much as the INSERT.
"""

import json
import logging
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from time import monotonic
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from redis.exceptions import RedisError

from connections import turns
from connections.models import ApiKey
from events import auth, ingest, refusals
from events.auth import Caller
from events.envelope import NoEnvelope, clean, read_envelope
from events.ingest import Arrival, KeyClosed, Origin, Receipt, Stored
from events.models import Inbox
from events.problems import Problem, details, problem_response
from events.refusals import Refused
from events.strict_json import Document, Item, NotStrict, read

DISPATCH = "webhooks_log.jobs.dispatch"
REQUEST_ID = "viaduct.request_id"  # the environ key under which the outermost layer leaves the request's id
BELL_RESTS = 0.25  # seconds in which this process believes an INSERT that saw the bell rung already
RETRY_AFTER = "5"
logger = logging.getLogger(__name__)

type View = Callable[..., HttpResponse]


def answering_problems(view: View) -> View:
    """A view whose Problems become answers, and which says 503 while the database is away, and only then."""

    @csrf_exempt
    @wraps(view)
    def answering(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Problem as problem:
            return problem_response(problem)
        except (OperationalError, InterfaceError) as error:
            logger.warning("the database is away: %s", error.__class__.__name__)
            away = Problem(
                503, "database_away", "We cannot store anything now; send it again.", Retry_After=RETRY_AFTER
            )
            return problem_response(away)

    return answering


@answering_problems
def receive_by_key(request: HttpRequest) -> HttpResponse:
    """Events from whoever holds an API key."""
    _refuse_other_methods(request)
    caller = auth.caller_by_key(request)
    return _take_in(request, caller, _body_of(request, caller))


@answering_problems
def receive_by_address(request: HttpRequest) -> HttpResponse:
    """Events from whoever knows the secret address: any Content-Type, and success is always 200."""
    _refuse_other_methods(request)
    caller = auth.caller_by_address(request)
    return _take_in(request, caller, _body_of(request, caller))


@answering_problems
def receive_by_signature(request: HttpRequest, public_id: str) -> HttpResponse:
    """Events signed with a secret of the source that `public_id` names."""
    _refuse_other_methods(request)
    raw = _body_of(request, None)
    return _take_in(request, auth.caller_by_signature(request, public_id, raw), raw)


@answering_problems
def not_found(request: HttpRequest, rest: str = "") -> HttpResponse:
    """Whatever else is asked for below /api/."""
    raise Problem(404, "not_found", "There is nothing at this address.")


def _refuse_other_methods(request: HttpRequest) -> None:
    if request.method != "POST":
        raise Problem(405, "method_not_allowed", "Events are sent by POST.", Allow="POST")


# ── The body ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def _body_of(request: HttpRequest, caller: Caller | None) -> bytes:
    """The body as it came over the wire, at most INGEST_MAX_BYTES; raises Problem 413."""
    most = settings.INGEST_MAX_BYTES
    try:
        raw = request.body or _chunked_body(request, most)
    except RequestDataTooBig:
        raw = request.META["wsgi.input"].read(refusals.KEPT_BYTES + 1)
        raise _too_large(caller, raw) from None
    except OSError:
        raise Problem(400, "not_complete", "The connection ended before the body did.") from None
    if len(raw) > most:
        raise _too_large(caller, raw)
    return raw


def _chunked_body(request: HttpRequest, most: int) -> bytes:
    """Django reads nothing where a sender does not say how long the body is; the server knows where it ends."""
    if request.META.get("CONTENT_LENGTH") or not request.META.get("wsgi.input_terminated"):
        return b""
    return request.META["wsgi.input"].read(most + 1)


def _too_large(caller: Caller | None, start: bytes) -> Problem:
    problem = Problem(413, "too_large", f"A request carries at most {settings.INGEST_MAX_BYTES} bytes.")
    if caller:
        refusals.keep(caller, [Refused(problem, start)], timezone.now())
    return problem


def _inflated(request: HttpRequest, raw: bytes, is_tolerant: bool) -> bytes:
    """The body without its Content-Encoding; raises Problem 400, 413 or 415."""
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if raw.startswith(b"\x1f\x8b") and (is_tolerant or encoding in ("gzip", "x-gzip")):
        return _gunzipped(raw)
    if encoding in ("", "identity") or is_tolerant:
        return raw
    if encoding in ("gzip", "x-gzip"):
        raise Problem(400, "not_gzip", "The body is announced as gzip but is not.")
    raise Problem(415, "encoding_unknown", "Send the body as it is, or as gzip.")


def _gunzipped(raw: bytes) -> bytes:
    most, inflated = settings.INGEST_MAX_BYTES, b""
    try:
        while raw:
            member = zlib.decompressobj(wbits=31)
            inflated += member.decompress(raw, most + 1 - len(inflated))
            if len(inflated) > most:
                raise Problem(413, "too_large", f"The body inflates to more than {most} bytes.")
            if not member.eof:
                raise Problem(400, "not_gzip", "The gzip body ends too early.")
            raw = member.unused_data
    except zlib.error:
        raise Problem(400, "not_gzip", "The gzip body is damaged.") from None
    return inflated


# ── One request ──────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(slots=True)
class _Reading:
    """What became of each value of a request: an arrival to store, or a refusal."""

    outcomes: list[Arrival | Refused]
    is_single: bool

    @property
    def arrivals(self) -> list[Arrival]:
        return [one for one in self.outcomes if isinstance(one, Arrival)]

    @property
    def refused(self) -> list[Refused]:
        return [one for one in self.outcomes if isinstance(one, Refused)]


def _take_in(request: HttpRequest, caller: Caller, raw: bytes) -> HttpResponse:
    now = timezone.now()
    reading = _read_or_keep(request, caller, raw, now)
    receipt = _store(request, caller, reading.arrivals, now)
    if reading.refused:
        refusals.keep(caller, reading.refused, now)
    _after_commit(caller, receipt, now)
    return _answer(reading, receipt.rows, says_only_200=caller.kind == ApiKey.Kind.ADDRESS)


def _read_or_keep(request: HttpRequest, caller: Caller, raw: bytes, now: datetime) -> _Reading:
    try:
        return _reading(_document(request, caller, raw))
    except Problem as problem:
        refusals.keep(caller, [Refused(problem, raw)], now)
        raise


def _document(request: HttpRequest, caller: Caller, raw: bytes) -> Document:
    is_stream = request.content_type in ("application/x-ndjson", "application/jsonl", "application/x-jsonlines")
    body = _inflated(request, raw, is_tolerant=caller.kind == ApiKey.Kind.ADDRESS)
    try:
        return read(body, max_items=settings.INGEST_MAX_EVENTS, as_lines=is_stream)
    except NotStrict as wrong:
        raise _problem(wrong) from None


def _reading(document: Document) -> _Reading:
    if not document.items:
        raise Problem(422, "no_events", "The list is empty.")
    return _Reading([_outcome(item) for item in document.items], document.is_single)


def _outcome(item: Item) -> Arrival | Refused:
    if item.refusal:
        return Refused(_problem(item.refusal), item.body)
    try:
        return Arrival(read_envelope(item.value), item.body)
    except NoEnvelope as wrong:
        return Refused(Problem(422, wrong.code, wrong.detail, field=wrong.field), item.body)


def _problem(wrong: NotStrict) -> Problem:
    status = 413 if wrong.code == "too_many_events" else 400
    return Problem(status, wrong.code, clean(wrong.detail), field=clean(wrong.field))


def _store(request: HttpRequest, caller: Caller, arrivals: Sequence[Arrival], now: datetime) -> Receipt:
    if not arrivals:
        return Receipt([], is_quiet=False)
    origin = Origin(
        merchant_id=caller.merchant_id,
        source_id=caller.source_id,
        inbox_id=caller.inbox_id,
        key_id=caller.key_id,
        authenticated_by=caller.kind,
        request_id=request.META.get(REQUEST_ID, "")[:40],
    )
    try:
        return ingest.store(origin, arrivals, now)
    except KeyClosed:
        raise Problem(401, "key_unknown", "This key is no longer valid.", WWW_Authenticate="Bearer") from None


def _answer(reading: _Reading, stored: Sequence[Stored], *, says_only_200: bool) -> HttpResponse:
    rows = iter(stored)
    results = [_told(one) if isinstance(one, Refused) else _result(next(rows)) for one in reading.outcomes]
    refused = reading.refused
    if refused and not stored:
        more = {} if reading.is_single else {"results": results}
        return problem_response(refused[0].problem, **more)
    is_new = any(not row.is_duplicate for row in stored) and not says_only_200
    status = 207 if refused else 202 if is_new else 200
    return HttpResponse(json.dumps({"results": results}), status=status, content_type="application/json")


def _result(row: Stored) -> dict[str, Any]:
    result = {"status": "duplicate" if row.is_duplicate else "accepted", "id": row.id}
    return result if row.conflict_of is None else result | {"conflict_of": row.conflict_of}


def _told(refused: Refused) -> dict[str, Any]:
    written = details(refused.problem)
    return {"status": "refused"} | {name: written[name] for name in ("code", "detail", "field") if name in written}


# ── After the commit ─────────────────────────────────────────────────────────────────────────────────────────────────
_looked_at: dict[int, float] = {}


def _after_commit(caller: Caller, receipt: Receipt, now: datetime) -> None:
    """Whatever goes wrong from here on, the events are stored and the answer is yes: the clock finds them."""
    try:
        if not all(row.is_duplicate for row in receipt.rows):
            _ring(caller.inbox_id, receipt.is_quiet)
        auth.note_use(caller, now)
    except (DatabaseError, InterfaceError, RedisError, OSError) as error:
        logger.warning("stored, but the bell could not be rung: %s", error.__class__.__name__)


def _ring(inbox_id: int, is_quiet: bool) -> None:
    """Ring if the INSERT saw a quiet bell. What it saw was before its commit, so look again every now and then."""
    if is_quiet or monotonic() - _looked_at.get(inbox_id, 0.0) > BELL_RESTS:
        _looked_at[inbox_id] = monotonic()
        turns.ring(Inbox, inbox_id, DISPATCH)
