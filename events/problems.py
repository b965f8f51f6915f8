"""Problem details (RFC 9457): one shape for every "no" below /api/, with a stable code, a sentence and the field.

Beside the door: every module there raises Problem, and the outermost view turns it into an answer.
"""

import json
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse


class Problem(Exception):
    """A refusal on its way to the caller. `code` never changes its meaning; `detail` is for people."""

    def __init__(self, status: int, code: str, detail: str, *, field: str = "", **headers: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.field = status, code, detail, field
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def details(problem: Problem, **more: Any) -> dict[str, Any]:
    """The problem as RFC 9457 writes it; `code` and `field` are members of our own."""
    written = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
    }
    if problem.field:
        written["field"] = problem.field
    return written | more


def problem_response(problem: Problem, **more: Any) -> HttpResponse:
    """The answer that tells the caller of this problem."""
    return HttpResponse(
        json.dumps(details(problem, **more)),
        status=problem.status,
        content_type="application/problem+json",
        headers=problem.headers,
    )
