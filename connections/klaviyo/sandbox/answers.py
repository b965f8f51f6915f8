"""What the sandbox says: an answer, and the JSON:API error documents Klaviyo was recorded to send.

Made by every module that judges a call; put on the wire by the server.
"""

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

JSON_API = "application/vnd.api+json"


class Manner(Enum):
    """How an answer goes on the wire; everything but WHOLE is a fault somebody asked for."""

    WHOLE = "whole"
    DROPPED = "dropped"
    TRUNCATED = "truncated"
    ENDLESS = "endless"
    DRIPPING = "dripping"


@dataclass(slots=True)
class Answer:
    """One answer: status, headers, body; `delay` in seconds before the first byte leaves.

    `cut` is how many bytes a truncated one may send (None: half), `drip` the seconds between two bytes of a dripping
    one, `raw` what goes out instead of all of it.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    manner: Manner = Manner.WHOLE
    drip: float = 0.0
    cut: int | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of an error document: what is wrong, and where (a JSON pointer or a query parameter)."""

    detail: str
    pointer: str = ""
    parameter: str = ""
    code: str = "invalid"
    title: str = "Invalid input."
    meta: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()


class Refused(Exception):
    """The call is refused with these problems; caught once, where the API answers."""

    def __init__(self, status: int, *problems: Problem, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, *problems)
        self.status, self.problems, self.headers = status, problems, headers or {}


def document(content: Any, status: int = 200) -> Answer:
    """A JSON:API document."""
    return Answer(status, {"Content-Type": JSON_API}, json.dumps(content, separators=(",", ":")).encode())


def accepted() -> Answer:
    """Validated and queued: 202 with no body and no Content-Type."""
    return Answer(202)


def refusal(status: int, problems: Iterable[Problem], headers: dict[str, str] | None = None) -> Answer:
    """An error document. X-Klaviyo-Req-Id equals the id of its first error."""
    errors = [_error(status, problem) for problem in problems]
    answer = document({"errors": errors}, status)
    answer.headers |= {"X-Klaviyo-Req-Id": errors[0]["id"], **(headers or {})}
    return answer


def _error(status: int, problem: Problem) -> dict[str, Any]:
    source = {"parameter": problem.parameter} if problem.parameter else {"pointer": problem.pointer}
    return {
        "id": str(uuid.uuid4()),
        "status": status,
        "code": problem.code,
        "title": problem.title,
        "detail": problem.detail,
        "source": source if problem.pointer or problem.parameter else {},
        "links": dict(problem.links),
        "meta": dict(problem.meta),
    }


# The refusals every endpoint shares, in the words that were recorded.

_NO_CREDENTIALS = "Authentication credentials were not provided."
_CHALLENGE = {"WWW-Authenticate": "Bearer, Klaviyo-API-Key"}


def wrong_key() -> Refused:
    problem = Problem("Missing or invalid private key.", "/data/", code="not_authenticated", title=_NO_CREDENTIALS)
    return Refused(401, problem, headers=_CHALLENGE)


def wrong_scheme() -> Refused:
    detail = "Missing or invalid authorization scheme. Please use Klaviyo-API-Key."
    problem = Problem(detail, "/data/", code="not_authenticated", title=_NO_CREDENTIALS)
    return Refused(401, problem, headers=_CHALLENGE)


def revoked_key() -> Refused:
    title = "Incorrect authentication credentials."
    problem = Problem("This API key has been revoked.", "/data/", code="authentication_failed", title=title)
    return Refused(401, problem, headers=_CHALLENGE)


def missing_scope(scope: str) -> Refused:
    detail = f"Your API key is missing required scopes: {scope}"
    title = "You do not have permission to perform this action."
    return Refused(403, Problem(detail, "/data/", code="permission_denied", title=title))


def throttled_problem(seconds: int | float | str) -> Problem:
    unit = "second" if seconds == 1 else "seconds"
    return Problem(
        f"Request was throttled. Expected available in {seconds} {unit}.",
        "/data",
        code="throttled",
        title="Request was throttled.",
        links=(("type", "https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling"),),
    )


def not_found(detail: str) -> Refused:
    return Refused(404, Problem(detail, "/data/", code="not_found", title="Not found."))


def duplicate_profile(profile_id: str) -> Refused:
    return Refused(
        409,
        Problem(
            "A profile already exists with one of these identifiers.",
            "/data/attributes",
            code="duplicate_profile",
            title="Conflict.",
            meta=(("duplicate_profile_id", profile_id),),
        ),
    )
