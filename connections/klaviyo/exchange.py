"""One call on the wire and what came of it, as plain values; the key is masked before anything is kept.

The client makes Exchanges, `webhooks_log.verdicts` judges them, the Webhooks tab shows them.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

Headers = tuple[tuple[str, str], ...]


class Silence(StrEnum):
    """Why a call had no complete answer."""

    DNS = "the name could not be resolved"
    ADDRESS = "the address is not allowed"
    CONNECT = "no connection could be made"
    TLS = "the secure connection failed"
    TIMEOUT = "no answer in time"
    RESET = "the connection was closed before an answer came"
    CUT_OFF = "the answer was cut off"
    ENDLESS = "the answer did not end"


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of a JSON:API `errors` list."""

    code: str
    pointer: str  # RFC 6901, "" when the answer names none
    detail: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """Request and response of one call. `body` and `answer` are the exact bytes; durations are milliseconds."""

    method: str
    url: str
    request_headers: Headers
    body: bytes
    started_at: datetime
    duration_ms: int
    status: int | None = None
    response_headers: Headers = ()
    answer: bytes = b""
    silence: Silence | None = None
    _named: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        named: dict[str, str] = {}
        for name, value in self.response_headers:
            named.setdefault(name.lower(), value)
        object.__setattr__(self, "_named", named)

    def header(self, name: str) -> str:
        """The first response header of that name, whatever its case; "" if there is none."""
        return _clean(self._named.get(name.lower(), ""))

    @property
    def is_html(self) -> bool:
        """Whether an edge in front of Klaviyo answered, not Klaviyo."""
        return "html" in self.header("Content-Type").lower() or self.answer.lstrip()[:1] == b"<"

    def problems(self) -> tuple[Problem, ...]:
        """The errors Klaviyo names; empty when the answer is not a JSON:API error document."""
        try:
            document = json.loads(self.answer)
        except (ValueError, RecursionError):
            return ()
        errors = document.get("errors") if isinstance(document, dict) else None
        return tuple(_problem(error) for error in errors if isinstance(error, dict)) if isinstance(errors, list) else ()


def _problem(error: dict[str, Any]) -> Problem:
    source = error.get("source")
    pointer = source.get("pointer") if isinstance(source, dict) else None
    code, detail = error.get("code"), error.get("detail")
    return Problem(code=_clean(code or ""), pointer=_clean(pointer or ""), detail=_clean(detail or ""))


def _clean(value: object) -> str:
    """As text that every database takes: PostgreSQL knows no zero byte."""
    return str(value).replace("\0", "")
