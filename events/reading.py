"""What a request says, value by value: an Arrival to store, or a refusal with the field and why.

At the door, between the body's bytes and the INSERT.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from time import sleep

from django.conf import settings

from events.envelope import NoEnvelope, clean, read_envelope
from events.ingest import Arrival
from events.problems import Problem
from events.strict_json import Document, Item, NotStrict, read

TURN = 5  # values after which others may go first
_let_others = getattr(os, "sched_yield", partial(sleep, 0))


@dataclass(frozen=True, slots=True)
class Refused:
    """A value of a request, and why it was not taken."""

    problem: Problem
    body: bytes


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of each value of a request, in the order sent. `is_single` tells one object from a list of one."""

    outcomes: list[Arrival | Refused]
    is_single: bool

    @property
    def arrivals(self) -> list[Arrival]:
        return [one for one in self.outcomes if isinstance(one, Arrival)]

    @property
    def refused(self) -> list[Refused]:
        return [one for one in self.outcomes if isinstance(one, Refused)]


def read_values(body: bytes, *, as_lines: bool = False) -> Reading:
    """The values of a body: one object, a list, or one a line. Raises Problem where none can be told apart."""
    try:
        document = read(body, max_items=settings.INGEST_MAX_EVENTS, as_lines=as_lines)
        outcomes = list(_outcomes(document))
    except NotStrict as wrong:
        raise _problem(wrong) from None
    if not outcomes:
        raise Problem(422, "no_events", "The list is empty.")
    return Reading(outcomes, document.is_single)


def _outcomes(document: Document) -> Iterator[Arrival | Refused]:
    """One by one, and others first every now and then: a thread that has just written, and keeps all writers of the
    file waiting until it has said so, would else wait for the end of this list."""
    for count, item in enumerate(document.items, 1):
        yield outcome_of(item)
        if count % TURN == 0:
            _let_others()


def outcome_of(item: Item) -> Arrival | Refused:
    """An arrival, or why there is none."""
    if item.refusal:
        return Refused(_problem(item.refusal), item.body)
    try:
        return Arrival(read_envelope(item.value), item.body)
    except NoEnvelope as wrong:
        return Refused(Problem(422, wrong.code, wrong.detail, field=wrong.field), item.body)


def _problem(wrong: NotStrict) -> Problem:
    status = 413 if wrong.code == "too_many_events" else 400
    return Problem(status, wrong.code, clean(wrong.detail), field=clean(wrong.field))
