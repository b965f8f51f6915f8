"""Klaviyo's endpoints: key, revision, scope, limit, contents, in the order the real service asks.

The heart of the sandbox; everything that can be said wrongly about a call is answered here or in what this calls.
"""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from . import answers, documents, validate
from .accounts import SCHEME, Key, known_key
from .answers import Answer, Problem, Refused, accepted, document
from .limits import Limits
from .people import Profile
from .queries import Asks, Query, read_query
from .requests import Request
from .revisions import RevisionRefused, retirement_date, served_revision
from .store import Account, Recorded, Store
from .switches import Switches

MEDIA_TYPES = ("application/vnd.api+json", "application/json")
EVENTS_ASK = Asks(
    ("profile_id", "metric_id", "datetime", "timestamp"), ("datetime", "timestamp"), ("profile", "metric"), 200, 1000
)
PROFILES_ASK = Asks(
    ("id", "email", "phone_number", "external_id", "created", "updated"),
    ("created", "updated", "email", "id"),
    ("lists", "segments"),
    20,
    100,
)
LISTS_ASK = Asks(("id", "name", "created", "updated"), ("created", "updated", "name", "id"), (), 10, 10)
METRICS_ASK = Asks(("integration.name", "integration.category"), (), (), 200, 0)
NO_ASK = Asks(usual_size=0)


@dataclass(slots=True)
class Call:
    """One call whose key, revision and limits were found good."""

    request: Request
    account: Account
    revision: str
    part: str = ""

    @property
    def root(self) -> str:
        return self.request.root


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a path and method need, whose windows they use, and who answers."""

    scope: str
    family: str
    answer: Callable[["Api", Call], Answer]


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
        return endpoint.answer(self, Call(request, self.store.account(key.account), revision, part))

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

    # Writing

    def create_event(self, call: Call) -> Answer:
        good = validate.read_event(call.request.body, call.revision, self.switches)
        self.store.accept_events(call.account, good.events)
        return _noting(accepted(), good)

    def create_events(self, call: Call) -> Answer:
        good = validate.read_bulk(call.request.body, self.switches)
        self.store.accept_events(call.account, good.events)
        return _noting(accepted(), good)

    def import_profile(self, call: Call) -> Answer:
        good = validate.read_profile(call.request.body, self.switches)
        other = call.account.people.find_other(good.profile)
        if other and call.account.people.find(good.profile) and self.switches.duplicate_profile == "conflict":
            raise answers.duplicate_profile(other.id)
        return _noting(self._write_profile(call, good.profile), good)

    def create_profile(self, call: Call) -> Answer:
        good = validate.read_profile(call.request.body, self.switches)
        if known := call.account.people.find(good.profile):
            raise answers.duplicate_profile(known.id)
        return _noting(self._write_profile(call, good.profile), good)

    def update_profile(self, call: Call) -> Answer:
        self._person(call)
        return self.import_profile(call)

    def delete_profile(self, call: Call) -> Answer:
        self.store.accept_deletion(call.account, validate.read_deletion(call.request.body))
        return accepted()

    def _write_profile(self, call: Call, profile: dict[str, Any]) -> Answer:
        person, is_new = self.store.accept_profile(call.account, profile)
        resource = documents.echoed_profile(person, call.root)
        return document({"data": resource, "links": resource["links"]}, 201 if is_new else 200)

    # Reading

    def list_events(self, call: Call) -> Answer:
        query = read_query(call.request.query, EVENTS_ASK)
        rows = [row for row in _candidates(call.account, query) if _event_holds(call.account, row, query)]
        rows.sort(key=lambda row: row.time, reverse=not query.sort or query.sort.startswith("-"))
        return _page(call, query, rows, lambda row: documents.event_resource(call.account, row, call.root), _included)

    def get_event(self, call: Call) -> Answer:
        query = read_query(call.request.query, Asks(includes=EVENTS_ASK.includes, usual_size=0))
        for row in call.account.events.values():
            if row.id == call.part:
                return _single(query, documents.event_resource(call.account, row, call.root))
        raise answers.not_found(f"An event with id {call.part} does not exist.")

    def list_profiles(self, call: Call) -> Answer:
        query = read_query(call.request.query, PROFILES_ASK)
        people = [person for person in _named(call.account, query) if _profile_holds(person, query)]
        if query.sort:
            order = {"created": "created_at", "updated": "updated_at"}.get(query.sort.lstrip("-"), "id")
            people.sort(key=lambda person: getattr(person, order), reverse=query.sort.startswith("-"))
        return _page(call, query, people, lambda person: documents.profile_resource(person, call.root))

    def get_profile(self, call: Call) -> Answer:
        query = read_query(call.request.query, Asks(includes=PROFILES_ASK.includes, usual_size=0))
        return _single(query, documents.profile_resource(self._person(call), call.root))

    def list_lists(self, call: Call) -> Answer:
        query = read_query(call.request.query, LISTS_ASK)
        rows = documents.list_resources(call.account, call.root)
        rows = [row for row in rows if all(c.holds(row["attributes"].get(c.field, row["id"])) for c in query.clauses)]
        return _page(call, query, rows, lambda row: row)

    def list_metrics(self, call: Call) -> Answer:
        query = read_query(call.request.query, METRICS_ASK)
        names = sorted(call.account.metrics)
        return _page(call, query, names, lambda name: documents.metric_resource(call.account, name, call.root))

    def list_accounts(self, call: Call) -> Answer:
        query = read_query(call.request.query, NO_ASK)
        query.size = 1
        return _page(call, query, [call.account], lambda account: documents.account_resource(account, call.root))

    def _person(self, call: Call) -> Profile:
        if person := call.account.people.by_id.get(call.part):
            return person
        raise answers.not_found(f"A profile with id {call.part} does not exist.")


ENDPOINTS: dict[str, dict[str, Endpoint]] = {
    "/api/events": {
        "POST": Endpoint("events:write", "events", Api.create_event),
        "GET": Endpoint("events:read", "events", Api.list_events),
    },
    "/api/events/*": {"GET": Endpoint("events:read", "event", Api.get_event)},
    "/api/event-bulk-create-jobs": {"POST": Endpoint("events:write", "bulk", Api.create_events)},
    "/api/profile-import": {"POST": Endpoint("profiles:write", "profiles", Api.import_profile)},
    "/api/profiles": {
        "POST": Endpoint("profiles:write", "profiles", Api.create_profile),
        "GET": Endpoint("profiles:read", "profiles", Api.list_profiles),
    },
    "/api/profiles/*": {
        "GET": Endpoint("profiles:read", "profiles", Api.get_profile),
        "PATCH": Endpoint("profiles:write", "profiles", Api.update_profile),
    },
    "/api/lists": {"GET": Endpoint("lists:read", "lists", Api.list_lists)},
    "/api/metrics": {"GET": Endpoint("metrics:read", "metrics", Api.list_metrics)},
    "/api/accounts": {"GET": Endpoint("accounts:read", "accounts", Api.list_accounts)},
    "/api/data-privacy-deletion-jobs": {"POST": Endpoint("data-privacy:write", "privacy", Api.delete_profile)},
}


def _check_media_type(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = request.headers.get("content-encoding", "identity").lower()
    if media_type not in MEDIA_TYPES or encoding != "identity":
        wrong = media_type if media_type not in MEDIA_TYPES else encoding
        detail = f"Unsupported media type '{wrong}' in request."
        raise Refused(415, Problem(detail, "/data", code="unsupported_media_type", title="Unsupported media type."))


def _noting(answer: Answer, good: validate.Accepted) -> Answer:
    if good.ignored_phone:
        answer.headers["X-Klaviyo-Partial-Failure"] = "phone_number"
    return answer


def _candidates(account: Account, query: Query) -> Iterable[Recorded]:
    for clause in query.clauses:
        if clause.field == "profile_id" and clause.operator == "equals":
            return account.of_profile.get(clause.value, [])
    return account.events.values()


def _event_holds(account: Account, row: Recorded, query: Query) -> bool:
    known = {
        "profile_id": row.profile.id,
        "metric_id": account.metric_id(row.metric),
        "datetime": row.time.isoformat(),
        "timestamp": int(row.time.timestamp()),
    }
    return all(clause.holds(known[clause.field]) for clause in query.clauses)


def _named(account: Account, query: Query) -> Iterable[Profile]:
    for clause in query.clauses:
        if clause.operator == "equals" and clause.field in ("id", "email", "phone_number", "external_id"):
            return account.people.with_value(clause.field, str(clause.value))
    return account.people.by_id.values()


def _profile_holds(person: Profile, query: Query) -> bool:
    moments = {"created": person.created_at.isoformat(), "updated": person.updated_at.isoformat(), "id": person.id}
    known = person.attributes | moments
    return all(clause.holds(known.get(clause.field)) for clause in query.clauses)


def _page(
    call: Call,
    query: Query,
    rows: list[Any],
    show: Callable[[Any], documents.Resource],
    include: Callable[[Call, Query, list[Any]], list[documents.Resource]] | None = None,
) -> Answer:
    shown = rows[query.start : query.start + query.size]
    here = f"{call.root}{call.request.path}"
    onward = f"{here}?page[cursor]={query.start + query.size}&page[size]={query.size}"
    content: dict[str, Any] = {
        "data": [_sparse(show(row), query) for row in shown],
        "links": {
            "self": f"{here}?{call.request.query}" if call.request.query else here,
            "next": onward if len(rows) > query.start + query.size else None,
            "prev": None,
        },
    }
    if include and query.include:
        content["included"] = include(call, query, shown)
    return document(content)


def _single(query: Query, resource: documents.Resource) -> Answer:
    return document({"data": _sparse(resource, query), "links": resource["links"]})


def _sparse(resource: documents.Resource, query: Query) -> documents.Resource:
    if wanted := query.fields.get(resource["type"]):
        resource["attributes"] = {name: value for name, value in resource["attributes"].items() if name in wanted}
    return resource


def _included(call: Call, query: Query, rows: list[Recorded]) -> list[documents.Resource]:
    found: dict[str, documents.Resource] = {}
    for row in rows:
        if "profile" in query.include:
            found[row.profile.id] = documents.profile_resource(row.profile, call.root)
        if "metric" in query.include:
            found[row.metric] = documents.metric_resource(call.account, row.metric, call.root)
    return list(found.values())
