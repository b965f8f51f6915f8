"""The endpoints that write: events one by one and in bulk, profiles, and their deletion.

Called by the API once a call may go ahead; what they accept is recorded a moment later.
"""

from typing import Any

from . import answers, documents, validate
from .answers import Answer, accepted, document
from .call import Call


def create_event(call: Call) -> Answer:
    good = validate.read_event(call.request.body, call.revision, call.switches)
    call.store.accept_events(call.account, good.events)
    return _noting(accepted(), good)


def create_events(call: Call) -> Answer:
    good = validate.read_bulk(call.request.body, call.switches)
    call.store.accept_events(call.account, good.events)
    return _noting(accepted(), good)


def import_profile(call: Call) -> Answer:
    good = validate.read_profile(call.request.body, call.switches)
    other = call.account.people.find_other(good.profile)
    if other and call.account.people.find(good.profile) and call.switches.duplicate_profile == "conflict":
        raise answers.duplicate_profile(other.id)
    return _noting(_write_profile(call, good.profile), good)


def create_profile(call: Call) -> Answer:
    good = validate.read_profile(call.request.body, call.switches)
    if known := call.account.people.find(good.profile):
        raise answers.duplicate_profile(known.id)
    return _noting(_write_profile(call, good.profile), good)


def update_profile(call: Call) -> Answer:
    call.person()
    return import_profile(call)


def delete_profile(call: Call) -> Answer:
    call.store.accept_deletion(call.account, validate.read_deletion(call.request.body))
    return accepted()


def _write_profile(call: Call, profile: dict[str, Any]) -> Answer:
    person, is_new = call.store.accept_profile(call.account, profile)
    resource = documents.echoed_profile(person, call.root)
    return document({"data": resource, "links": resource["links"]}, 201 if is_new else 200)


def _noting(answer: Answer, good: validate.Accepted) -> Answer:
    if good.ignored_phone:
        answer.headers["X-Klaviyo-Partial-Failure"] = "phone_number"
    return answer
