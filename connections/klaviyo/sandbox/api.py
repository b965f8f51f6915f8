"""Klaviyo's endpoints: key, revision, scope, limit, contents, in the order the real service asks.

The heart of the sandbox; everything that can be said wrongly about a call is answered here or in what this calls.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from . import answers, reading, writing
from .accounts import SCHEME, Key, known_key
from .answers import Answer, Problem, Refused
from .call import Call
from .limits import Limits
from .requests import Request
from .revisions import RevisionRefused, retirement_date, served_revision
from .store import Store
from .switches import Switches

MEDIA_TYPES = ("application/vnd.api+json", "application/json")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a path and method need, whose windows they use, and who answers."""

    scope: str
    family: str
    answer: Callable[[Call], Answer]


@dataclass(slots=True)
class Api:
    """Answers a request and stores what it carried."""

    switches: Switches
    store: Store
    limits: Limits
    now: Callable[[], float]

    def key_of(self, request: Request) -> Key | None:
        return known_key(request.key, self.switches.revoked_keys, self.switches.key_scopes)

    def answer(self, request: Request) -> Answer:
        """Klaviyo's answer to this request; refusals are answers too."""
        known: dict[str, str] = {}
        try:
            answer = self._answer(request, known)
        except Refused as no:
            answer = answers.refusal(no.status, no.problems, no.headers)
        answer.headers = {"X-Klaviyo-Req-Id": str(uuid.uuid4())} | known | answer.headers
        return answer

    def _answer(self, request: Request, known: dict[str, str]) -> Answer:
        key = self._authenticated(request)
        known["Cid"] = key.account
        revision = self._revision(request, known)
        endpoint, part = self._endpoint(request)
        if endpoint.scope not in key.scopes:
            raise answers.missing_scope(endpoint.scope)
        self._admit(key.account, endpoint.family, known)
        if request.method in ("POST", "PATCH"):
            _check_media_type(request)
        self.store.settle()
        account = self.store.account(key.account)
        return endpoint.answer(Call(request, account, revision, part, self.store, self.switches))

    def _authenticated(self, request: Request) -> Key:
        if not request.headers.get("authorization", "").startswith(SCHEME):
            raise answers.wrong_scheme()
        key = self.key_of(request)
        if key is None:
            raise answers.wrong_key()
        if key.is_revoked:
            raise answers.revoked_key()
        return key

    def _revision(self, request: Request, known: dict[str, str]) -> str:
        opted_out = request.headers.get("x-klaviyo-revision-fall-forward-opt-out") == "1"
        try:
            revision = served_revision(request.headers.get("revision"), opted_out)
        except RevisionRefused as no:
            raise Refused(no.status, Problem(no.detail, "/data/")) from no
        known["X-Klaviyo-Api-Revision"] = revision
        known["X-Klaviyo-Api-Retirement-Date"] = retirement_date(revision)
        return revision

    def _endpoint(self, request: Request) -> tuple[Endpoint, str]:
        methods, part = ENDPOINTS.get(request.path), ""
        if methods is None:
            parent, _, part = request.path.rpartition("/")
            methods = ENDPOINTS.get(f"{parent}/*")
        if methods is None:
            raise answers.not_found("The requested path does not exist.")
        if request.method not in methods:
            detail = f'Method "{request.method}" not allowed.'
            raise Refused(405, Problem(detail, "/data/", code="method_not_allowed", title="Method not allowed."))
        return methods[request.method], part

    def _admit(self, account: str, family: str, known: dict[str, str]) -> None:
        is_strict = self.switches.limits == "strict"
        standing = self.limits.admit(account, family, self.now(), is_strict=is_strict)
        if standing.retry_after is not None:
            raise Refused(429, answers.throttled_problem(standing.retry_after), headers=standing.headers())
        known |= standing.headers(self.switches.rate_headers)


ENDPOINTS: dict[str, dict[str, Endpoint]] = {
    "/api/events": {
        "POST": Endpoint("events:write", "events", writing.create_event),
        "GET": Endpoint("events:read", "events", reading.list_events),
    },
    "/api/events/*": {"GET": Endpoint("events:read", "event", reading.get_event)},
    "/api/event-bulk-create-jobs": {"POST": Endpoint("events:write", "bulk", writing.create_events)},
    "/api/profile-import": {"POST": Endpoint("profiles:write", "profiles", writing.import_profile)},
    "/api/profiles": {
        "POST": Endpoint("profiles:write", "profiles", writing.create_profile),
        "GET": Endpoint("profiles:read", "profiles", reading.list_profiles),
    },
    "/api/profiles/*": {
        "GET": Endpoint("profiles:read", "profiles", reading.get_profile),
        "PATCH": Endpoint("profiles:write", "profiles", writing.update_profile),
    },
    "/api/lists": {"GET": Endpoint("lists:read", "lists", reading.list_lists)},
    "/api/metrics": {"GET": Endpoint("metrics:read", "metrics", reading.list_metrics)},
    "/api/accounts": {"GET": Endpoint("accounts:read", "accounts", reading.list_accounts)},
    "/api/data-privacy-deletion-jobs": {"POST": Endpoint("data-privacy:write", "privacy", writing.delete_profile)},
}


def _check_media_type(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = request.headers.get("content-encoding", "identity").lower()
    if media_type not in MEDIA_TYPES or encoding != "identity":
        wrong = media_type if media_type not in MEDIA_TYPES else encoding
        detail = f"Unsupported media type '{wrong}' in request."
        raise Refused(415, Problem(detail, "/data", code="unsupported_media_type", title="Unsupported media type."))
