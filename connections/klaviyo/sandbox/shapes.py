"""Small checks that combine into the shape of a document: each notes what is wrong and where, none raises.

The grammar in which `validate` spells the request documents of Klaviyo's specification.
"""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from .answers import Problem

Notes = list[Problem]
Check = Callable[[Any, str, Notes], None]

LONGEST_STRING = 100_000
LONGEST_ARRAY = 4_000
DEEPEST_OBJECT = 10
MOST_PROPERTIES = 400
OLDEST_TIME = datetime(1990, 1, 1, tzinfo=UTC)
FURTHEST_AHEAD = timedelta(days=366)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def note(notes: Notes, detail: str, pointer: str) -> None:
    notes.append(Problem(detail, pointer))


def text(shortest: int = 0, longest: int = LONGEST_STRING, detail: str = "") -> Check:
    """A string of so many characters; `detail` replaces the words for a wrong length."""

    def check(value: Any, pointer: str, notes: Notes) -> None:
        if not isinstance(value, str):
            note(notes, "Not a valid string.", pointer)
        elif not shortest <= len(value) <= longest:
            note(notes, detail or f"Must be between {shortest} and {longest} characters.", pointer)

    return check


def number(value: Any, pointer: str, notes: Notes) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        note(notes, "A valid number is required.", pointer)
    else:
        _sized(value, pointer, notes)


def flag(value: Any, pointer: str, notes: Notes) -> None:
    if not isinstance(value, bool):
        note(notes, "Must be a valid boolean.", pointer)


def currency(value: Any, pointer: str, notes: Notes) -> None:
    if not isinstance(value, str) or not re.fullmatch("[A-Z]{3}", value):
        note(notes, "Must be a valid ISO 4217 currency code.", pointer)


def moment(value: Any, pointer: str, notes: Notes) -> None:
    """ISO 8601 with an offset, after 1990, at most a year ahead."""
    at = read_moment(value)
    if at is None:
        note(notes, "Invalid datetime format. Must be ISO 8601 (RFC 3339) with an offset.", pointer)
    elif not OLDEST_TIME <= at <= datetime.now(UTC) + FURTHEST_AHEAD:
        note(notes, "Must be after 1990 and at most one year in the future.", pointer)


def read_moment(value: Any) -> datetime | None:
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def text_or_number(value: Any, pointer: str, notes: Notes) -> None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        note(notes, "Must be a string or a number.", pointer)


def anything(value: Any, pointer: str, notes: Notes) -> None:
    _sized(value, pointer, notes)


def free_form(most: int = MOST_PROPERTIES) -> Check:
    """An object of any keys, within the service's limits of count, size and depth."""

    def check(value: Any, pointer: str, notes: Notes) -> None:
        if not isinstance(value, dict):
            note(notes, "Must be a dictionary.", pointer)
        elif len(value) > most:
            note(notes, f"Must have at most {most} properties.", pointer)
        else:
            _sized(value, pointer, notes)

    return check


def thing(
    resource: str, fields: Mapping[str, Check], required: Collection[str] = (), never_null: Collection[str] = ()
) -> Check:
    """An object with these fields and no other; one that is not required may be null unless `never_null`."""
    needed, not_null = tuple(required), {*required, *never_null}

    def check(value: Any, pointer: str, notes: Notes) -> None:
        if not isinstance(value, dict):
            note(notes, f"'{resource}' must be an object.", pointer)
            return
        for name in needed:
            if name not in value:
                note(notes, f"'{name}' is a required field for the resource '{resource}'.", f"{pointer}/{name}")
        for name, part in value.items():
            check_part = fields.get(name)
            if check_part is None:
                note(notes, f"'{name}' is not a valid field for the resource '{resource}'.", f"{pointer}/{name}")
            elif part is not None or name in not_null:
                check_part(part, f"{pointer}/{name}", notes)

    return check


def resource(kind: str, fields: Mapping[str, Check], required: Collection[str] = ("type", "attributes")) -> Check:
    """A JSON:API resource object of this type; without attributes it draws Klaviyo's own words."""
    whole = thing(kind, {"type": _word(kind), **fields}, required)

    def check(value: Any, pointer: str, notes: Notes) -> None:
        if not isinstance(value, dict) or not value.keys() & {"attributes", "relationships", "id"}:
            detail = "One of `attributes`, `relationships` or `id` must be included in the request payload."
            note(notes, detail, pointer)
        else:
            whole(value, pointer, notes)

    return check


def holder(name: str, data: Check) -> Check:
    """An object whose only field is `data`."""
    return thing(name, {"data": data}, ("data",))


def many(each: Check) -> Check:
    """A non-empty array of these."""

    def check(value: Any, pointer: str, notes: Notes) -> None:
        if not isinstance(value, list) or not value:
            note(notes, "Must be a non-empty array.", pointer)
            return
        for index, part in enumerate(value):
            each(part, f"{pointer}/{index}", notes)

    return check


def _word(kind: str) -> Check:
    def check(value: Any, pointer: str, notes: Notes) -> None:
        if value != kind:
            note(notes, f"'{value}' is not the expected type '{kind}'.", pointer)

    return check


def _sized(value: Any, pointer: str, notes: Notes, depth: int = 1) -> None:
    """Strings, arrays, integers and nesting within the service's ingestion limits."""
    if isinstance(value, str):
        if len(value) > LONGEST_STRING // 4 and len(value.encode(errors="replace")) > LONGEST_STRING:
            note(notes, "A string must not exceed 100 KB.", pointer)
    elif isinstance(value, dict):
        if depth > DEEPEST_OBJECT:
            note(notes, f"Objects must not be nested deeper than {DEEPEST_OBJECT}.", pointer)
            return
        for name, part in value.items():
            _sized(part, f"{pointer}/{name}", notes, depth + 1)
    elif isinstance(value, list):
        if len(value) > LONGEST_ARRAY:
            note(notes, f"An array must not exceed {LONGEST_ARRAY} items.", pointer)
            return
        for index, part in enumerate(value):
            _sized(part, f"{pointer}/{index}", notes, depth)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        note(notes, "Integers must fit in 64 bits.", pointer)
