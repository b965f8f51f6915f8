"""Troubles to order: the next so many calls that match are answered wrongly, late, in part or not at all.

Queued by the control plane, met before the API on the way in and after it on the way out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from .answers import JSON_API, Answer, Manner, Problem, refusal, throttled_problem
from .requests import Request

CLOUDFLARE_PAGE = (
    "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>"
    "<h1>a.klaviyo.com</h1><p>Error {status}. Ray ID: 9a1b2c3d4e5f6789</p></body></html>"
)
CODES = {
    400: ("invalid", "Invalid input."),
    401: ("not_authenticated", "Authentication credentials were not provided."),
    403: ("permission_denied", "You do not have permission to perform this action."),
    404: ("not_found", "Not found."),
    409: ("duplicate_profile", "Conflict."),
    429: ("throttled", "Request was throttled."),
}


class FaultRefused(ValueError):
    """A fault that cannot be ordered like this; the message says why."""


@dataclass(slots=True)
class Fault:
    """One order. `count` calls (0: until reset) that match `path`, `method`, `key`, `account`, `metric`, `unique_id`,
    `email`, each None for any.

    With `status`, `html`, `redirect` or `raw` the call is answered with that and stores nothing, unless `store`;
    without them it is judged and stored as usual and only its answer suffers: `delay_ms` before it, `truncate` (true:
    half of it, a number: so many bytes), `endless` (never stops), `drip_ms` (one byte each so often). `drop` closes the
    connection without an answer, "before" or "after" storing. `retry_after` goes out as given, a number or any text.
    """

    count: int = 1
    status: int | None = None
    html: bool = False
    redirect: str | None = None
    raw: str | None = None
    body: str | None = None
    code: str | None = None
    detail: str | None = None
    pointer: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    retry_after: int | float | str | None = None
    store: bool = False
    delay_ms: float = 0
    drop: str | None = None
    truncate: bool | int = False
    endless: bool = False
    drip_ms: float = 0
    path: str | None = None
    method: str | None = None
    key: str | None = None
    account: str | None = None
    metric: str | None = None
    unique_id: str | None = None
    email: str | None = None
    met: int = 0

    @property
    def answers_itself(self) -> bool:
        return bool(self.status or self.html or self.redirect or self.raw or self.retry_after is not None)

    @property
    def stores(self) -> bool:
        return self.drop != "before" and (self.store or self.drop == "after" or not self.answers_itself)

    def matches(self, request: Request, account: str | None) -> bool:
        plain = (
            (self.path, request.path),
            (self.method, request.method),
            (self.key, request.key),
            (self.account, account),
        )
        if any(asked is not None and asked.rstrip("/") != (known or "").rstrip("/") for asked, known in plain):
            return False
        if self.metric is None and self.unique_id is None and self.email is None:
            return True
        return any(self._means(*told) for told in _told(request.content()))

    def answer(self) -> Answer:
        """What is said instead of Klaviyo's own answer."""
        status = self.status or (403 if self.html else 302 if self.redirect else 429)
        answer = self._page(status) if self.html else self._document(status)
        if self.redirect:
            answer = Answer(status, {"Location": self.redirect})
        if status == 429 or self.retry_after is not None:
            answer.headers["Retry-After"] = str(1 if self.retry_after is None else self.retry_after)
        if self.body is not None:
            answer.body = self.body.encode()
        return answer

    def spoil(self, answer: Answer) -> Answer:
        """The same answer, late or damaged as ordered."""
        answer.delay += self.delay_ms / 1000
        answer.headers |= self.headers
        answer.drip = self.drip_ms / 1000
        answer.raw = self.raw.encode() if self.raw is not None else None
        answer.manner = self._manner()
        if answer.manner is Manner.TRUNCATED:
            answer.cut = None if self.truncate is True else int(self.truncate)
        return answer

    def _manner(self) -> Manner:
        if self.drop:
            return Manner.DROPPED
        if self.truncate is not False:
            return Manner.TRUNCATED
        if self.endless:
            return Manner.ENDLESS
        return Manner.DRIPPING if self.drip_ms else Manner.WHOLE

    def _page(self, status: int) -> Answer:
        headers = {"Content-Type": "text/html; charset=UTF-8", "Server": "cloudflare"}
        if status == 403:
            headers["cf-mitigated"] = "challenge"
        return Answer(status, headers, CLOUDFLARE_PAGE.format(status=status).encode())

    def _document(self, status: int) -> Answer:
        if status < 400:
            return Answer(status, {} if status == 202 else {"Content-Type": JSON_API})
        code, title = CODES.get(status, ("error", "A server error occurred."))
        detail = self.detail or title
        if status == 429 and not self.detail:
            return refusal(status, [throttled_problem(1 if self.retry_after is None else self.retry_after)])
        return refusal(status, [Problem(detail, self.pointer or "/data", code=self.code or code, title=title)])

    def _means(self, metric: str | None, unique_id: str | None, email: str | None) -> bool:
        told = ((self.metric, metric), (self.unique_id, unique_id), (self.email, email))
        return all(asked is None or asked == known for asked, known in told)


@dataclass(slots=True)
class Faults:
    """The orders still open, oldest first; each call meets the first that matches."""

    queue: list[Fault] = field(default_factory=list)

    def order(self, content: Any) -> Fault:
        """Queue the fault this object spells. Raises FaultRefused."""
        known = {one.name for one in fields(Fault)} - {"met"}
        if not isinstance(content, dict) or not content.keys() <= known:
            raise FaultRefused(f"A fault is an object of: {', '.join(sorted(known))}.")
        if content.get("drop") not in (None, "before", "after"):
            raise FaultRefused('\'drop\' is "before" or "after".')
        fault = Fault(**content)
        if not isinstance(fault.count, int) or fault.count < 0:
            raise FaultRefused("'count' is a whole number; 0 means until reset.")
        self.queue.append(fault)
        return fault

    def meet(self, request: Request, account: str | None) -> Fault | None:
        """The fault this call meets, counted off; None nearly always."""
        for fault in self.queue:
            if fault.matches(request, account):
                fault.met += 1
                if fault.met == fault.count:
                    self.queue.remove(fault)
                return fault
        return None


def _told(content: Any) -> Iterator[tuple[str | None, str | None, str | None]]:
    """Metric, unique_id and e-mail of every event, or the profile, in a document of any of the write endpoints."""
    match content:
        case {"data": {"type": "event", "attributes": attributes}}:
            yield _event_told(attributes, _at(attributes, "profile", "data"))
        case {"data": {"attributes": {"events-bulk-create": {"data": list(groups)}}}}:
            for group in groups:
                profile = _at(group, "attributes", "profile", "data")
                for event in _at(group, "attributes", "events", "data") or ():
                    yield _event_told(_at(event, "attributes"), profile)
        case {"data": {"type": "profile", "attributes": {"email": email}}}:
            yield None, None, email
        case {"data": {"attributes": {"profile": {"data": {"attributes": {"email": email}}}}}}:
            yield None, None, email


def _event_told(attributes: Any, profile: Any) -> tuple[str | None, str | None, str | None]:
    name = _at(attributes, "metric", "data", "attributes", "name")
    return name, _at(attributes, "unique_id"), _at(profile, "attributes", "email")


def _at(content: Any, *names: str) -> Any:
    for name in names:
        content = content.get(name) if isinstance(content, dict) else None
    return content
