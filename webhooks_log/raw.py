"""The exact bytes, for those who may see personal data: what was sent, what came back, what Vrio posted, a cURL line.

Behind the copy and download buttons of the opened row.
"""

import shlex

from django.http import Http404, HttpRequest, HttpResponse

from events.models import Event
from webhooks_log.models import Attempt, Delivery
from webhooks_log.opened import body_of, own_attempt
from webhooks_log.packing import Content, unpack_body, unpack_content
from webhooks_log.viewer import viewer

LEFT_TO_CURL = {"authorization", "content-length", "host", "connection", "user-agent"}


def attempt_request(request: HttpRequest, pk: int) -> HttpResponse:
    """The bytes of one Attempt's request body."""
    return _bytes(body_of(_allowed(request, pk)), f"request-{pk}")


def attempt_answer(request: HttpRequest, pk: int) -> HttpResponse:
    """The bytes Klaviyo answered, after transfer decoding."""
    content = _content(_allowed(request, pk))
    return _bytes(content.answer if content else None, f"answer-{pk}")


def attempt_curl(request: HttpRequest, pk: int) -> HttpResponse:
    """The call as a cURL command, its key a variable of the shell."""
    attempt = _allowed(request, pk)
    body, content = body_of(attempt), _content(attempt)
    if body is None or content is None:
        raise Http404
    return HttpResponse(curl(content, body), content_type="text/plain; charset=utf-8")


def delivery_message(request: HttpRequest, pk: int) -> HttpResponse:
    """The bytes of a message that was made and not sent."""
    eyes = viewer(request)
    row: Delivery = eyes.own(Delivery.objects.select_related("body"), pk=pk)
    eyes.need_personal_data(row.merchant_id)
    eyes.note_seen(row)
    return _bytes(unpack_body(row.body) if row.body else None, f"message-{pk}")


def event_body(request: HttpRequest, pk: int) -> HttpResponse:
    """The bytes of a Vrio event as they were received."""
    eyes = viewer(request)
    event: Event = eyes.own(Event.objects.all(), pk=pk)
    eyes.need_personal_data(event.merchant_id)
    eyes.note_seen(event)
    return _bytes(bytes(event.body) or None, f"event-{pk}")


def curl(content: Content, body: bytes) -> str:
    """A POSIX shell command that repeats the call; $KLAVIYO_API_KEY stands for the key."""
    parts = [f"curl -X {shlex.quote(content.method)} {shlex.quote(content.url)}"]
    parts.append('-H "Authorization: Klaviyo-API-Key $KLAVIYO_API_KEY"')
    parts += [
        f"-H {shlex.quote(f'{name}: {value}')}"
        for name, value in content.request_headers
        if name.lower() not in LEFT_TO_CURL
    ]
    if body:
        parts.append(f"--data-binary {_shell_text(body)}")
    return " \\\n  ".join(parts) + "\n"


def _shell_text(body: bytes) -> str:
    """The body as one word of the shell; what a word cannot hold is read from the downloaded file instead."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return "@request.bin"
    return "@request.bin" if "\0" in text or text.startswith("@") else shlex.quote(text)


def _allowed(request: HttpRequest, pk: int) -> Attempt:
    eyes = viewer(request)
    attempt = own_attempt(eyes, pk)
    eyes.need_personal_data(attempt.delivery.merchant_id)
    eyes.note_seen(attempt.delivery)
    return attempt


def _content(attempt: Attempt) -> Content | None:
    stored = getattr(attempt, "content", None)
    return unpack_content(stored) if stored else None


def _bytes(content: bytes | None, name: str) -> HttpResponse:
    """A download that no browser interprets; a 404 when nothing is kept."""
    if content is None:
        raise Http404("This has expired.")
    return HttpResponse(
        content,
        content_type="application/octet-stream",
        headers={
            "Content-Disposition": f'attachment; filename="{name}.bin"',
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
        },
    )
