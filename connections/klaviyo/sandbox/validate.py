"""Judges a request body as Klaviyo would, before it says 202: structure, types, unknown fields, limits, contacts.

Written from the published specification and recorded answers, apart from what our translation makes.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .answers import Problem, Refused
from .contacts import judge_profile
from .revisions import PROFILE_META_MOVED
from .shapes import (
    Check,
    Notes,
    anything,
    currency,
    flag,
    free_form,
    holder,
    many,
    moment,
    note,
    number,
    resource,
    text,
    text_or_number,
    thing,
)
from .switches import Switches

LARGEST_BODY = 5_000_000
LARGEST_EVENT_PROFILE = 95_000
LARGEST_PROFILE = 100_000
MOST_BULK_EVENTS = 1_000
BULK_DATA = "/data/attributes/events-bulk-create/data"

STRING = text()
LOCATION = thing(
    "location",
    dict.fromkeys(("address1", "address2", "city", "country", "region", "zip", "timezone", "ip"), STRING)
    | {"latitude": text_or_number, "longitude": text_or_number},
)
PATCH = thing("patch_properties", {"append": free_form(), "unappend": free_form(), "unset": anything})
META = thing("meta", {"patch_properties": PATCH, "patch_identifiers": anything})
METRIC = resource(
    "metric",
    {
        "attributes": thing(
            "metric",
            {"name": text(1, 127, "A metric name must have between 1 and 127 characters."), "service": STRING},
            ("name",),
        )
    },
)
_NAMES = ("email", "phone_number", "external_id", "_kx", "first_name", "last_name", "organization", "locale", "title")
PROFILE_FIELDS: dict[str, Check] = dict.fromkeys((*_NAMES, "image"), STRING) | {
    "location": LOCATION,
    "properties": free_form(),
}
EVENT_FIELDS: dict[str, Check] = {
    "properties": free_form(),
    "metric": holder("metric", METRIC),
    "time": moment,
    "value": number,
    "value_currency": currency,
    "unique_id": text(1, 255, "unique_id must have between 1 and 255 characters."),
    "backfill": flag,
}


def _profile(more: dict[str, Check], meta_beside: bool) -> Check:
    attributes = thing("profile", PROFILE_FIELDS | more, never_null=("location",))
    beside: dict[str, Check] = {"meta": META} if meta_beside else {}
    return resource("profile", {"id": STRING, "attributes": attributes, **beside})


def _event(profile: Check) -> Check:
    attributes = thing(
        "event", EVENT_FIELDS | {"profile": holder("profile", profile)}, ("properties", "metric", "profile")
    )
    return thing("payload", {"data": resource("event", {"attributes": attributes})}, ("data",))


PROFILE_OF_EVENT = _profile({"anonymous_id": STRING}, meta_beside=True)
EVENT = _event(PROFILE_OF_EVENT)
OLDER_EVENT = _event(_profile({"anonymous_id": STRING, "meta": META}, meta_beside=False))
PROFILE = thing("payload", {"data": _profile({}, meta_beside=True)}, ("data",))
BULK_EVENT = resource("event", {"attributes": thing("event", EVENT_FIELDS, ("properties", "metric"))})
BULK_GROUP = resource(
    "event-bulk-create",
    {
        "attributes": thing(
            "event-bulk-create",
            {
                "backfill": flag,
                "profile": holder("profile", PROFILE_OF_EVENT),
                "events": holder("events", many(BULK_EVENT)),
            },
            ("profile", "events"),
        )
    },
)
BULK = thing(
    "payload",
    {
        "data": resource(
            "event-bulk-create-job",
            {
                "attributes": thing(
                    "event-bulk-create-job",
                    {"events-bulk-create": holder("events-bulk-create", many(BULK_GROUP))},
                    ("events-bulk-create",),
                )
            },
        )
    },
    ("data",),
)
FORGOTTEN = resource(
    "profile", {"id": STRING, "attributes": thing("profile", {"email": STRING, "phone_number": STRING})}
)
DELETION = thing(
    "payload",
    {
        "data": resource(
            "data-privacy-deletion-job",
            {"attributes": thing("data-privacy-deletion-job", {"profile": holder("profile", FORGOTTEN)}, ("profile",))},
        )
    },
    ("data",),
)


@dataclass(slots=True)
class OneEvent:
    """An accepted event: its attributes, its profile resource, and whether the phone was ignored."""

    attributes: dict[str, Any]
    profile: dict[str, Any]


@dataclass(slots=True)
class Accepted:
    """What a good body holds; `ignored_phone` asks for the X-Klaviyo-Partial-Failure header."""

    events: list[OneEvent] = field(default_factory=list)
    profile: dict[str, Any] = field(default_factory=dict)
    ignored_phone: bool = False


def read_event(body: bytes, revision: str, switches: Switches) -> Accepted:
    """The event of a create-event body. Raises Refused (400, 413) with every problem found."""
    shape = EVENT if revision >= PROFILE_META_MOVED else OLDER_EVENT
    attributes = _shaped(body, shape)["attributes"]
    profile, notes = attributes["profile"]["data"], Notes()
    pointer = "/data/attributes/profile/data/attributes"
    ignored = judge_profile(profile, pointer, notes, switches, "events")
    _note_large(profile, LARGEST_EVENT_PROFILE, pointer, notes, body)
    _refuse(notes)
    return Accepted([OneEvent(attributes, profile)], ignored_phone=ignored)


def read_bulk(body: bytes, switches: Switches) -> Accepted:
    """The events of a bulk job, all or none. Raises Refused with pointers into the job."""
    data, notes = _shaped(body, BULK), Notes()
    groups = data["attributes"]["events-bulk-create"]["data"]
    if sum(len(group["attributes"]["events"]["data"]) for group in groups) > MOST_BULK_EVENTS:
        _refuse([Problem(f"A job must not hold more than {MOST_BULK_EVENTS} events.", BULK_DATA)])
    accepted = Accepted()
    for index, group in enumerate(groups):
        pointer = f"{BULK_DATA}/{index}/attributes/profile/data/attributes"
        profile = group["attributes"]["profile"]["data"]
        accepted.ignored_phone |= judge_profile(profile, pointer, notes, switches, "bulk")
        _note_large(profile, LARGEST_EVENT_PROFILE, pointer, notes, body)
        accepted.events += _events_of(group["attributes"], profile)
    notes += _repeated(groups)
    _refuse(notes)
    return accepted


def read_profile(body: bytes, switches: Switches, endpoint: str = "profiles") -> Accepted:
    """The profile of a profile-import or create-profile body."""
    profile, notes = _shaped(body, PROFILE), Notes()
    ignored = judge_profile(profile, "/data/attributes", notes, switches, endpoint)
    _note_large(profile, LARGEST_PROFILE, "/data/attributes", notes, body)
    _refuse(notes)
    return Accepted(profile=profile, ignored_phone=ignored)


def read_deletion(body: bytes) -> dict[str, str]:
    """The one identifier of a deletion job, as {name: value}."""
    profile = _shaped(body, DELETION)["attributes"]["profile"]["data"]
    given = {**profile["attributes"], "id": profile.get("id")}
    named = {name: value for name, value in given.items() if value}
    if len(named) != 1:
        _refuse([Problem("Exactly one identifier is required.", "/data/attributes/profile/data")])
    return named


def _shaped(body: bytes, shape: Check) -> dict[str, Any]:
    if len(body) > LARGEST_BODY:
        problem = Problem(
            "Payload must not exceed 5 MB.", "/data", code="payload_too_large", title="Payload too large."
        )
        raise Refused(413, problem)
    try:
        content = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as unreadable:
        raise Refused(400, Problem("Invalid JSON.", "/data", code="parse_error", title="Malformed request.")) from (
            unreadable
        )
    notes = Notes()
    shape(content, "", notes)
    _refuse(notes)
    return content["data"]  # type: ignore[no-any-return]  # the shape has just been checked


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _refuse(notes: list[Problem]) -> None:
    if notes:
        raise Refused(400, *notes)


def _note_large(profile: dict[str, Any], most: int, pointer: str, notes: Notes, body: bytes) -> None:
    if len(body) > most and len(json.dumps(profile, ensure_ascii=False).encode(errors="replace")) > most:
        note(notes, f"A profile must not exceed {most // 1000} KB.", pointer)


def _events_of(group: dict[str, Any], profile: dict[str, Any]) -> Iterator[OneEvent]:
    backfill = group.get("backfill")
    for event in group["events"]["data"]:
        attributes = event["attributes"]
        if attributes.get("backfill") is None and backfill is not None:
            attributes["backfill"] = backfill
        yield OneEvent(attributes, profile)


def _repeated(groups: list[dict[str, Any]]) -> Iterator[Problem]:
    """The specification: a unique_id repeated for one profile and metric inside a request fails the request."""
    seen = set()
    for index, group in enumerate(groups):
        profile = group["attributes"]["profile"]["data"]
        who = json.dumps(
            [profile.get("id"), profile["attributes"].get("email"), profile["attributes"].get("phone_number")]
        )
        for place, event in enumerate(group["attributes"]["events"]["data"]):
            attributes = event["attributes"]
            key = (who.lower(), attributes["metric"]["data"]["attributes"]["name"], attributes.get("unique_id"))
            if key[2] is not None and key in seen:
                pointer = f"{BULK_DATA}/{index}/attributes/events/data/{place}/attributes/unique_id"
                yield Problem("unique_id must be unique for one profile and metric in one request.", pointer)
            seen.add(key)
