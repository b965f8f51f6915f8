"""The endpoints that read: events, profiles, lists, metrics and the account, filtered and in pages.

Called by the API once a call may go ahead; they show what has been recorded by then.
"""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from . import answers, documents
from .answers import Answer, document
from .call import Call
from .people import Profile
from .queries import Asks, Query, read_query
from .store import Account, Recorded

EVENTS_ASK = Asks(
    ("profile_id", "metric_id", "datetime", "timestamp"), ("datetime", "timestamp"), ("profile", "metric"), 200, 1000
)
PROFILE_ORDERS: dict[str, Callable[[Profile], Any]] = {
    "created": lambda person: person.created_at,
    "updated": lambda person: person.updated_at,
    "email": lambda person: person.attributes.get("email") or "",
    "id": lambda person: person.id,
}
PROFILES_ASK = Asks(
    ("id", "email", "phone_number", "external_id", "created", "updated"),
    tuple(PROFILE_ORDERS),
    ("lists", "segments"),
    20,
    100,
)
LISTS_ASK = Asks(("id", "name", "created", "updated"), ("created", "updated", "name", "id"), (), 10, 10)
METRICS_ASK = Asks(("integration.name", "integration.category"), (), (), 200, 0)
NO_ASK = Asks(usual_size=0)


def list_events(call: Call) -> Answer:
    query = read_query(call.request.query, EVENTS_ASK)
    rows = [row for row in _candidates(call.account, query) if _event_holds(call.account, row, query)]
    rows.sort(key=lambda row: row.time, reverse=not query.sort or query.sort.startswith("-"))
    return _page(call, query, rows, lambda row: documents.event_resource(call.account, row, call.root), _included)


def get_event(call: Call) -> Answer:
    query = read_query(call.request.query, Asks(includes=EVENTS_ASK.includes, usual_size=0))
    for row in call.account.events.values():
        if row.id == call.part:
            return _single(query, documents.event_resource(call.account, row, call.root))
    raise answers.not_found(f"An event with id {call.part} does not exist.")


def list_profiles(call: Call) -> Answer:
    query = read_query(call.request.query, PROFILES_ASK)
    people = [person for person in _named(call.account, query) if _profile_holds(person, query)]
    if query.sort:
        people.sort(key=PROFILE_ORDERS[query.sort.lstrip("-")], reverse=query.sort.startswith("-"))
    return _page(call, query, people, lambda person: documents.profile_resource(person, call.root))


def get_profile(call: Call) -> Answer:
    query = read_query(call.request.query, Asks(includes=PROFILES_ASK.includes, usual_size=0))
    return _single(query, documents.profile_resource(call.person(), call.root))


def list_lists(call: Call) -> Answer:
    query = read_query(call.request.query, LISTS_ASK)
    rows = documents.list_resources(call.account, call.root)
    rows = [row for row in rows if all(c.holds(row["attributes"].get(c.field, row["id"])) for c in query.clauses)]
    return _page(call, query, rows, lambda row: row)


def list_metrics(call: Call) -> Answer:
    query = read_query(call.request.query, METRICS_ASK)
    names = sorted(call.account.metrics)
    return _page(call, query, names, lambda name: documents.metric_resource(call.account, name, call.root))


def list_accounts(call: Call) -> Answer:
    query = read_query(call.request.query, NO_ASK)
    query.size = 1
    return _page(call, query, [call.account], lambda account: documents.account_resource(account, call.root))


def _candidates(account: Account, query: Query) -> Iterable[Recorded]:
    for clause in query.clauses:
        if clause.field == "profile_id" and clause.operator == "equals":
            return account.of_profile.get(clause.value, [])
    return account.events.values()


def _event_holds(account: Account, row: Recorded, query: Query) -> bool:
    if not query.clauses:
        return True  # a probe for one event must not cost more because many are stored
    known = {
        "profile_id": row.profile.id,
        "metric_id": account.metric_id(row.metric),
        "datetime": row.time,
        "timestamp": int(row.time.timestamp()),
    }
    return all(clause.holds(known[clause.field]) for clause in query.clauses)


def _named(account: Account, query: Query) -> Iterable[Profile]:
    for clause in query.clauses:
        if clause.operator == "equals" and clause.field in ("id", "email", "phone_number", "external_id"):
            return account.people.with_value(clause.field, str(clause.value))
    return account.people.by_id.values()


def _profile_holds(person: Profile, query: Query) -> bool:
    known = person.attributes | {"created": person.created_at, "updated": person.updated_at, "id": person.id}
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
    onward = dict(parse_qsl(call.request.query)) | {"page[cursor]": str(query.start + query.size)}
    content: dict[str, Any] = {
        "data": [_sparse(show(row), query) for row in shown],
        "links": {
            "self": f"{here}?{call.request.query}" if call.request.query else here,
            "next": f"{here}?{urlencode(onward)}" if len(rows) > query.start + query.size else None,
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
