"""Reads the query of a GET: filter, page[size], page[cursor], sort, include and fields[…].

What an endpoint does not know is refused as Klaviyo refuses it, naming the parameter.
"""

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from .answers import Problem, Refused
from .shapes import read_moment

_CLAUSE = re.compile(
    r'\s*(?P<operator>[a-z-]+)\((?P<field>[\w.]+),(?P<value>"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^()",]+)\)\s*(?:,|$)'
)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "equals": lambda known, asked: known == asked,
    "any": lambda known, asked: known in asked,
    "greater-than": lambda known, asked: known > asked,
    "greater-or-equal": lambda known, asked: known >= asked,
    "less-than": lambda known, asked: known < asked,
    "less-or-equal": lambda known, asked: known <= asked,
}


@dataclass(frozen=True, slots=True)
class Asks:
    """What an endpoint may be asked: the fields it filters and sorts by, what it includes, its page sizes."""

    filters: Collection[str] = ()
    sorts: Collection[str] = ()
    includes: Collection[str] = ()
    usual_size: int = 20
    largest_size: int = 0  # 0: page[size] is refused


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition of a filter: operator, field, the value asked for."""

    operator: str
    field: str
    value: Any

    def holds(self, known: Any) -> bool:
        """Raises Refused (400) where the value asked for cannot be compared with what is known."""
        if known is None:
            return False
        asked: Any = self.value
        if isinstance(known, datetime):
            asked = read_moment(asked)
        elif self.field == "email":
            known, asked = known.lower(), _lowered(asked)
        try:
            return _OPERATORS[self.operator](known, asked)
        except TypeError as mismatch:
            raise _bad(f"'{self.value}' is no value for '{self.field}'.", "filter") from mismatch


@dataclass(slots=True)
class Query:
    """A read query; `start` is how many rows the cursor has passed."""

    clauses: list[Clause] = field(default_factory=list)
    sort: str = ""
    include: list[str] = field(default_factory=list)
    fields: dict[str, list[str]] = field(default_factory=dict)
    size: int = 20
    start: int = 0


def read_query(text: str, asks: Asks) -> Query:
    """Raises Refused (400) with `source.parameter` for what this endpoint does not take."""
    query = Query(size=asks.usual_size)
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name == "filter" and asks.filters:
            query.clauses = read_filter(value, asks.filters)
        elif name == "page[size]" and asks.largest_size:
            query.size = _size(value, asks.largest_size)
        elif name == "page[cursor]" and asks.usual_size:
            query.start = _cursor(value)
        elif name == "sort" and asks.sorts:
            query.sort = _one_of(value, [*asks.sorts, *(f"-{name}" for name in asks.sorts)], "sort")
        elif name == "include" and asks.includes:
            query.include = [_one_of(part, asks.includes, "include") for part in value.split(",")]
        elif match := re.fullmatch(r"(?:additional-)?fields\[([\w-]+)\]", name):
            query.fields[match[1]] = value.split(",")
        else:
            raise _bad(f"'{name}' is not a valid parameter for this resource.", name)
    return query


def read_filter(text: str, fields: Collection[str]) -> list[Clause]:
    """`equals(email,"a@b.c"),greater-than(datetime,2025-01-01T00:00:00Z)`, with or without and(…) around."""
    inner = text.strip().removeprefix("and(").removesuffix(")") if text.strip().startswith("and(") else text
    clauses, place = [], 0
    while place < len(inner):
        match = _CLAUSE.match(inner, place)
        if not match or match["operator"] not in _OPERATORS:
            raise _bad("Invalid filter provided.", "filter")
        _one_of(match["field"], fields, "filter")
        clauses.append(Clause(match["operator"], match["field"], _value(match["value"])))
        place = match.end()
    return clauses


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.strip().strip("'")


def _lowered(value: Any) -> Any:
    return [str(part).lower() for part in value] if isinstance(value, list) else str(value).lower()


def _size(text: str, largest: int) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= largest:
        raise _bad(f"Page size must be an integer between 1 and {largest}.", "page[size]")
    return int(text)


def _cursor(text: str) -> int:
    if not text.isdecimal():
        raise _bad("Invalid cursor.", "page[cursor]")
    return int(text)


def _one_of(value: str, known: Collection[str], parameter: str) -> str:
    if value not in known:
        raise _bad(f"'{value}' is not an allowed {parameter} parameter for this resource.", parameter)
    return value


def _bad(detail: str, parameter: str) -> Refused:
    return Refused(400, Problem(detail, parameter=parameter))
