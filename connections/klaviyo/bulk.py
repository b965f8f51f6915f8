"""Bulk jobs: many rendered events in one body, grouped by person, and whom the pointers of an answer mean.

A lane with a backlog sends these instead of single calls. Texts are joined as they stand, never written anew. Pure.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from json import JSONDecoder
from typing import Any

from connections.klaviyo.exchange import Problem

MOST_EVENTS = 1000
HEAD = '{"data":{"type":"event","attributes":'  # of every event's body
JOB_HEAD = b'{"data":{"type":"event-bulk-create-job","attributes":{"events-bulk-create":{"data":['
JOB_TAIL = b"]}}}}"
POINTER = re.compile(r"/data/attributes/events-bulk-create/data/(\d+)(?:/attributes/events/data/(\d+))?(?:/|$)")
_decoder = JSONDecoder()


@dataclass(frozen=True, slots=True)
class Told:
    """One event's body taken apart: the texts of its profile and of the rest, and what Klaviyo knows it by."""

    email: str
    metric: str
    unique_id: str
    profile: str
    event: str
    is_identity_only: bool

    @property
    def key(self) -> tuple[str, str, str]:
        """A job that says the same twice is refused as a whole."""
        return self.email, self.metric, self.unique_id


@dataclass(frozen=True, slots=True)
class Bulk:
    """A job, and for each item of it where its person's part stands (start and end, in bytes) and its place: the number
    of its group and its number in it, as pointers count."""

    body: bytes
    parts: tuple[tuple[int, int], ...]
    places: tuple[tuple[int, int], ...]


def bulk_body(items: Sequence[bytes]) -> bytes:
    """One job of rendered event bodies."""
    return bulk([take_apart(item) for item in items]).body


def bulk(items: Sequence[Told]) -> Bulk:
    """One job, its events grouped by e-mail in the order given; items of equal `key` must have been left out."""
    groups: dict[str, list[int]] = {}
    for index, item in enumerate(items):
        groups.setdefault(item.email, []).append(index)
    parts, places = [(0, 0)] * len(items), [(0, 0)] * len(items)
    texts, position = [], len(JOB_HEAD)
    for number, members in enumerate(groups.values()):
        text = group_text([items[index] for index in members]).encode()
        for place, index in enumerate(members):
            parts[index], places[index] = (position, position + len(text)), (number, place)
        texts.append(text)
        position += len(text) + 1
    texts[0] = JOB_HEAD + texts[0]
    texts[-1] += JOB_TAIL
    return Bulk(b",".join(texts), tuple(parts), tuple(places))


def group_text(told: Sequence[Told]) -> str:
    """One person's events under one profile: the newest that says more than the address."""
    speaking = [item.profile for item in told if not item.is_identity_only]
    profile = speaking[-1] if speaking else told[-1].profile
    attributes = f'"profile":{profile},"events":{{"data":[{",".join(item.event for item in told)}]}}'
    return f'{{"type":"event-bulk-create","attributes":{{{attributes}}}}}'


def take_apart(body: bytes) -> Told:
    """Raises ValueError for what is not an event as `payloads` writes it."""
    text = body.decode()
    if not text.startswith(HEAD):
        raise ValueError("not the body of an event")
    values, texts = {}, {}
    for name, value, member in members(text, len(HEAD)):
        values[name], texts[name] = value, member
    person = values["profile"]["data"]["attributes"]
    rest = ",".join(f'"{name}":{member}' for name, member in texts.items() if name != "profile")
    return Told(
        email=person["email"],
        metric=values["metric"]["data"]["attributes"]["name"],
        unique_id=values["unique_id"],
        profile=texts["profile"],
        event=f'{{"type":"event","attributes":{{{rest}}}}}',
        is_identity_only=len(person) == 1,
    )


def members(text: str, start: int) -> Iterator[tuple[str, Any, str]]:
    """Name, value and text of each member of the compact object that begins at `start`."""
    position = start + 1
    while text[position] == '"':
        name, colon = _decoder.raw_decode(text, position)
        value, end = _decoder.raw_decode(text, colon + 1)
        yield name, value, text[colon + 1 : end]
        position = end + 1


def meant(job: Bulk, problems: Iterable[Problem]) -> dict[int, list[Problem]]:
    """The items that Klaviyo names, with what it says of each; of a profile it is said to all events of that person."""
    found: dict[int, list[Problem]] = {}
    for problem in problems:
        pointed = POINTER.match(problem.pointer)
        if not pointed:
            continue
        group, place = int(pointed[1]), pointed[2]
        for index, item in enumerate(job.places):
            if item[0] == group and (place is None or item[1] == int(place)):
                found.setdefault(index, []).append(problem)
    return found
