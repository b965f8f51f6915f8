"""One Delivery opened: every Attempt with headers and bytes of both sides, the verdict, the times, the Vrio event.

Behind each row of the tab, loaded when it is opened; the same piece stands on a page of its own to be shared.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from connections.klaviyo.exchange import Headers
from events.models import Event
from webhooks_log.changes import Change, changes
from webhooks_log.masking import mask_sentence
from webhooks_log.models import Attempt, AttemptContent, Delivery, Note
from webhooks_log.moments import duration, moment, size, span, zone_of
from webhooks_log.packing import unpack_body, unpack_content
from webhooks_log.page import fragment, page
from webhooks_log.reasons import Reason
from webhooks_log.rows import Line, lines, metric_name, reason_of, status_tone
from webhooks_log.tree import NotATree, parse, tree
from webhooks_log.verdicts import BY_NAME, FAULT, INTERRUPTED
from webhooks_log.viewer import Viewer, viewer

MAX_RAW = 6_000  # characters shown; all bytes are a click away
MOST_ATTEMPTS = 60
NOTHING = ("Nothing.", "Nothing. It is tried again.")


@dataclass(frozen=True, slots=True)
class Shown:
    """Some bytes as the page shows them: a tree, or why there is none, beside the raw text."""

    size: str
    tree: SafeString
    why_no_tree: str
    raw: str
    is_cut: bool
    is_utf8: bool
    expired: str  # when the bytes are gone, the sentence that says so
    is_changed: bool = False
    changes: tuple[Change, ...] = ()  # to the call before


@dataclass(frozen=True, slots=True)
class Call:
    """One Attempt as the page shows it, without its bytes."""

    pk: int
    number: int
    kind: str
    title: str
    tone: str
    sentence: str
    advice: str
    started: SafeString
    duration: str
    status: int | None
    request_id: str
    is_late: bool
    without_phone: bool
    job: str
    error: str


@dataclass(frozen=True, slots=True)
class Wire:
    """Both sides of one Attempt."""

    call: Call
    request_line: str
    host: str
    request_headers: Headers
    body: Shown
    status_line: str
    response_headers: Headers
    answer: Shown
    note: str


def delivery(request: HttpRequest, pk: int) -> HttpResponse:
    """A Delivery on a page of its own: the link to share."""
    eyes = viewer(request)
    row = _row(eyes, pk)
    return page(
        request, "delivery.html", title=f"{metric_name(row.metric)} {row.unique_id}", **opened(row, eyes), is_page=True
    )


def delivery_opened(request: HttpRequest, pk: int) -> HttpResponse:
    """What the tab shows below a row when it is opened."""
    eyes = viewer(request)
    return fragment(request, "opened.html", **opened(_row(eyes, pk), eyes))


def attempt_opened(request: HttpRequest, pk: int) -> HttpResponse:
    """Both sides of one Attempt: what an earlier one shows when it is unfolded."""
    eyes = viewer(request)
    attempt = own_attempt(eyes, pk)
    calls = list(_attempts(attempt.delivery).filter(pk__lte=pk))
    return fragment(
        request, "wire.html", wire=wire(calls, len(calls) - 1, eyes), eyes=eyes, clear=_clear(eyes, attempt.delivery)
    )


def event_opened(request: HttpRequest, pk: int) -> HttpResponse:
    """The body of a Vrio event as it was received."""
    eyes = viewer(request)
    event: Event = eyes.own(Event.objects.all(), pk=pk)
    clear = eyes.sees_personal_data(event.merchant_id)
    eyes.note_seen(event)
    return fragment(
        request,
        "bytes.html",
        shown=shown(bytes(event.body) or None, masked=not clear),
        clear=clear,
        raw_url="event",
        pk=pk,
    )


def opened(row: Delivery, eyes: Viewer) -> dict[str, Any]:
    """Everything the opened row shows; its newest Attempt unfolded, earlier ones loaded when asked for."""
    now, zone = timezone.now(), zone_of(row.merchant)
    attempts = list(_attempts(row)[:MOST_ATTEMPTS])
    eyes.note_seen(row)
    line: Line = lines([row], eyes, now)[0]
    calls = [call_of(attempt, number, zone) for number, attempt in enumerate(attempts, 1)]
    reason = reason_of(row)
    return {
        "eyes": eyes,
        "row": row,
        "line": line,
        "clear": _clear(eyes, row),
        "may_send": eyes.may_send_again(row.merchant_id),
        "reason": reason,
        "detail": row.detail if _clear(eyes, row) else mask_sentence(row.detail),
        "stations": stations(row, attempts, zone, now),
        "earlier": calls[:-1],
        "wire": wire(attempts, len(attempts) - 1, eyes) if attempts else None,
        "message": None if attempts else _unsent(row, masked=not _clear(eyes, row)),
        "left_out": [str(note) if _clear(eyes, row) else mask_sentence(str(note)) for note in row.notes],
        "advice": _to_do(calls[-1].advice if calls else "", reason.advice if reason else ""),
        "event": row.event,
        "proven_by": row.event.proven_by,
        "received": moment(row.event.received_at, zone, now),
        "remarks": [(note, moment(note.at, zone, now)) for note in _remarks(row)],
        "note_address": reverse("admin:delivery_note", args=(row.pk,)),
        "note_id": row.pk,
    }


def call_of(attempt: Attempt, number: int, zone: ZoneInfo) -> Call:
    """The Attempt in words: what came back, what it means, what to do."""
    words = _verdict(attempt)
    status = attempt.status
    title = (
        str(status)
        if status is not None
        else "no answer"
        if attempt.kind != Attempt.Kind.INTERRUPTED
        else "interrupted"
    )
    return Call(
        pk=attempt.pk,
        number=number,
        kind=attempt.get_kind_display(),
        title=title,
        tone=status_tone(status) if status is not None else "warn",
        sentence=words.sentence,
        advice=words.advice,
        started=moment(attempt.started_at, zone),
        duration=duration(attempt.duration_ms),
        status=status,
        request_id=attempt.klaviyo_request_id,
        is_late=attempt.is_late,
        without_phone=attempt.without_phone,
        job=f"{attempt.job} at {attempt.job_offset}" if attempt.job else "",
        error=attempt.error,
    )


def wire(attempts: list[Attempt], index: int, eyes: Viewer) -> Wire:
    """Both sides of one Attempt; its body compared with the Attempt's before it."""
    attempt = attempts[index]
    row = attempt.delivery
    masked = not _clear(eyes, row)
    body = _body(attempt)
    earlier = _earlier_body(attempts, index, body)
    content = _content(attempt)
    exchange = unpack_content(content) if content else None
    expired = bool(content and content.expired_at)
    path = exchange.url if exchange else row.path
    scheme, _, rest = path.partition("://")
    host, _, tail = rest.partition("/") if rest else ("", "", path.lstrip("/"))
    return Wire(
        call=call_of(attempt, index + 1, zone_of(row.merchant)),
        request_line=f"{exchange.method if exchange else 'POST'} /{tail}",
        host=f"{scheme}://{host}" if host else "",
        request_headers=exchange.request_headers if exchange else (),
        body=shown(body, earlier, masked=masked, expired=_expiry(attempt)),
        status_line=f"{attempt.status}" if attempt.status is not None else "",
        response_headers=exchange.response_headers if exchange else (),
        answer=shown(
            exchange.answer if exchange else None,
            masked=masked,
            expired="Headers and answer have expired; the row stays." if expired else "",
        ),
        note=attempt.error,
    )


def shown(content: bytes | None, before: bytes | None = None, *, masked: bool, expired: str = "") -> Shown:
    """Bytes for the page. Without the permission for personal data: the masked tree only, never the raw text."""
    if content is None:
        return Shown("", SafeString(""), "", "", False, True, expired or "Nothing is kept of this.")
    folded, why, changed = _fold(content, before, masked=masked)
    raw, is_utf8 = ("", True) if masked else _text(content)
    return Shown(
        size=size(len(content)),
        tree=folded,
        why_no_tree=why if not masked else why.replace("see the raw text", "not shown without the permission"),
        raw=raw[:MAX_RAW],
        is_cut=len(raw) > MAX_RAW,
        is_utf8=is_utf8,
        expired="",
        is_changed=before is not None and before != content,
        changes=tuple(changed),
    )


def stations(
    row: Delivery, attempts: list[Attempt], zone: ZoneInfo, now: datetime
) -> list[tuple[str, SafeString, str]]:
    """(station, when, how long after the one before): happened, received, dispatched, first sent, answered."""
    first, last = (attempts[0], attempts[-1]) if attempts else (None, None)
    answered = last.started_at + timedelta(milliseconds=last.duration_ms or 0) if last and last.status else None
    moments = (
        ("Happened in the shop", row.happened_at),
        ("Received from Vrio", row.event.received_at),
        ("Dispatched", row.created_at),
        ("First sent", first.started_at if first else None),
        ("Answered", answered),
        ("Seen in Klaviyo", row.seen_at),
    )
    found, before = [], None
    for name, at in moments:
        if at is None:
            continue
        gap = f"{span((at - before).total_seconds())} later" if before and (at - before).total_seconds() >= 1 else ""
        found.append((name, moment(at, zone, now), gap))
        before = at
    return found


def own_attempt(eyes: Viewer, pk: int) -> Attempt:
    """The Attempt, if its Delivery belongs to one of the person's merchants; a 404 otherwise."""
    attempt = Attempt.objects.select_related("body").filter(pk=pk).first()
    if attempt is None:
        raise Http404
    attempt.delivery = _row(eyes, attempt.delivery_id)
    return attempt


def body_of(attempt: Attempt) -> bytes | None:
    """The exact bytes an Attempt sent; its Delivery's unless it has its own. None when expired or never made."""
    return _body(attempt)


def _row(eyes: Viewer, pk: int) -> Delivery:
    rows = Delivery.objects.select_related("event", "body").defer("draft", "event__body", "event__digest")
    row: Delivery = eyes.own(rows, pk=pk)
    return row


def _clear(eyes: Viewer, row: Delivery) -> bool:
    return eyes.sees_personal_data(row.merchant_id)


def _attempts(row: Delivery) -> QuerySet[Attempt]:
    return row.attempts.select_related("body", "content").order_by("pk")


def _body(attempt: Attempt) -> bytes | None:
    body = attempt.body or attempt.delivery.body
    return unpack_body(body) if body else None


def _earlier_body(attempts: list[Attempt], index: int, body: bytes | None) -> bytes | None:
    """The nearest earlier Attempt's body, where it differs."""
    if index == 0 or body is None:
        return None
    earlier = _body(attempts[index - 1])
    return earlier if earlier != body else None


def _content(attempt: Attempt) -> AttemptContent | None:
    return getattr(attempt, "content", None)


def _expiry(attempt: Attempt) -> str:
    body = attempt.body or attempt.delivery.body
    if body is None:
        return "No message was made."
    when = f" on {body.expired_at:%Y-%m-%d}" if body.expired_at else ""
    return f"The {size(body.size)} of this message expired{when}; the row stays."


def _verdict(attempt: Attempt) -> Reason:
    known = BY_NAME.get(attempt.verdict)
    if known:
        return Reason(known.name, known.sentence, known.advice)
    if attempt.verdict == INTERRUPTED or attempt.kind == Attempt.Kind.INTERRUPTED:
        return Reason(
            INTERRUPTED,
            "The worker stopped while it held this message. It may or may not have been sent.",
            "Nothing: repeating it cannot count twice.",
        )
    if attempt.verdict == FAULT:
        return Reason(FAULT, "A fault of ours stopped this message.", "Ask our support with the link to this page.")
    return Reason(attempt.verdict, attempt.error or attempt.verdict, "")


def _to_do(*advices: str) -> str:
    """The first advice that asks for something."""
    return next((advice for advice in advices if advice and advice not in NOTHING), "")


def _fold(content: bytes, before: bytes | None, *, masked: bool) -> tuple[SafeString, str, list[Change]]:
    try:
        value = parse(content)
    except NotATree as why:
        return SafeString(""), str(why), []
    try:
        earlier = parse(before) if before is not None else None
    except NotATree:
        earlier = None
    changed = changes(value, earlier, masked=masked) if earlier is not None else []
    return tree(value, earlier, masked=masked), "", changed


def _text(content: bytes) -> tuple[str, bool]:
    """The bytes as text for reading, and whether they are UTF-8. Only as much as is shown is decoded."""
    head = content[: MAX_RAW * 4 + 4]
    try:
        text = head.decode("utf-8", "strict" if len(head) == len(content) else "ignore")
    except UnicodeDecodeError:
        return head.decode("utf-8", "replace").replace("\0", "␀"), False
    return text.replace("\0", "␀"), True


def _unsent(row: Delivery, *, masked: bool) -> Shown | None:
    """The message of a Delivery that was never sent, where one was made."""
    return shown(unpack_body(row.body), masked=masked) if row.body else None


def _remarks(row: Delivery) -> QuerySet[Note]:
    return row.remarks.order_by("pk")[:50]
