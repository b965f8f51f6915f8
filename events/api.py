"""The door: prove who calls, read what they sent, have it stored, answer, ring.

Where Vrio's requests enter the corridor. Plain Django views: Django REST framework would cost as much as the INSERT.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import wraps
from time import monotonic
from typing import Any

import orjson
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from redis.exceptions import RedisError

from connections import turns
from connections.models import ApiKey
from events import auth, ingest, openapi, refusals
from events.auth import Caller
from events.body import TooLarge, inflated, raw_body
from events.ingest import Arrival, KeyClosed, Origin, Receipt, Stored
from events.methods import described
from events.models import Inbox
from events.problems import Problem, details, problem_response
from events.reading import Reading, Refused, read_values

DISPATCH = "webhooks_log.jobs.dispatch"
REQUEST_ID = "viaduct.request_id"  # the environ key under which the outermost layer leaves the request's id
BELL_RESTS = 0.25  # seconds in which this process believes an INSERT that saw the bell rung already
RETRY_AFTER = "5"
STREAMS = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines")
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


@described(operation_id="events_send", auth=openapi.BY_KEY, **openapi.SENDING)
@answering_problems
def receive_by_key(request: HttpRequest) -> HttpResponse:
    """Events from whoever holds an API key."""
    caller = auth.caller_by_key(request)
    return _take_in(request, caller, _raw_or_keep(request, caller))


@described(operation_id="events_send_to_address", **openapi.BY_ADDRESS)
@answering_problems
def receive_by_address(request: HttpRequest) -> HttpResponse:
    """Events from whoever knows the secret address: any Content-Type, and success is always 200."""
    caller = auth.caller_by_address(request)
    return _take_in(request, caller, _raw_or_keep(request, caller))


@described(operation_id="events_send_signed", **openapi.BY_SIGNATURE)
@answering_problems
def receive_by_signature(request: HttpRequest, public_id: str) -> HttpResponse:
    """Events signed with a secret of the source that `public_id` names."""
    raw = raw_body(request)
    return _take_in(request, auth.caller_by_signature(request, public_id, raw), raw)


@answering_problems
def not_found(request: HttpRequest) -> HttpResponse:
    """Whatever else is asked for below /api/."""
    raise Problem(404, "not_found", "There is nothing at this address.")


# ── One request ──────────────────────────────────────────────────────────────────────────────────────────────────────
def _take_in(request: HttpRequest, caller: Caller, raw: bytes) -> HttpResponse:
    now = timezone.now()
    reading = _read_or_keep(request, caller, raw, now)
    receipt = _store(request, caller, reading.arrivals, now)
    if reading.refused:
        refusals.keep(caller, reading.refused, now)
    _after_commit(caller, receipt, now)
    return _answer(reading, receipt.rows, says_only_200=caller.kind == ApiKey.Kind.ADDRESS)


def _raw_or_keep(request: HttpRequest, caller: Caller) -> bytes:
    try:
        return raw_body(request)
    except TooLarge as problem:
        refusals.keep(caller, [Refused(problem, problem.start)], timezone.now())
        raise


def _read_or_keep(request: HttpRequest, caller: Caller, raw: bytes, now: datetime) -> Reading:
    try:
        is_tolerant = caller.kind == ApiKey.Kind.ADDRESS
        body = inflated(raw, request.META.get("HTTP_CONTENT_ENCODING", ""), is_tolerant=is_tolerant)
        return read_values(body, as_lines=request.content_type in STREAMS)
    except Problem as problem:
        refusals.keep(caller, [Refused(problem, raw)], now)
        raise


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


def _answer(reading: Reading, stored: Sequence[Stored], *, says_only_200: bool) -> HttpResponse:
    rows = iter(stored)
    results = [_told(one) if isinstance(one, Refused) else _result(next(rows)) for one in reading.outcomes]
    refused = reading.refused
    if refused and not stored:
        more = {} if reading.is_single else {"results": results}
        return problem_response(refused[0].problem, **more)
    is_new = any(not row.is_duplicate for row in stored) and not says_only_200
    status = 207 if refused else 202 if is_new else 200
    return HttpResponse(orjson.dumps({"results": results}), status=status, content_type="application/json")


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
    """Ring if the INSERT saw a quiet bell and nobody at work: a dispatcher looks once more after it has let go. What
    the INSERT saw was before its commit, so look again every now and then."""
    if is_quiet or monotonic() - _looked_at.get(inbox_id, 0.0) > BELL_RESTS:
        _looked_at[inbox_id] = monotonic()
        turns.ring(Inbox, inbox_id, DISPATCH, unless_held=True)
