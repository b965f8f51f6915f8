"""What differs between two JSON messages, as a short list a person reads at a glance: where, what was there, what is.

Above the folding tree of a call that was sent otherwise than the one before. Pure.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from webhooks_log.masking import is_personal_branch, mask_number, mask_value
from webhooks_log.tree import MAX_DEPTH, Number, Pairs

MOST = 12
LONGEST = 80  # characters of one value


@dataclass(frozen=True, slots=True)
class Change:
    """One place; None stands for nothing: it came, or it went."""

    path: str
    before: str | None
    now: str | None


def changes(value: Any, before: Any, *, masked: bool = False) -> list[Change]:
    """The first differences of two parsed values, in the order of the later one; what went comes after its siblings."""
    found = []
    for path, earlier, now in _differences(value, before, ()):
        shown = [None if part is _NOTHING else _text(path, part, masked=masked) for part in (earlier, now)]
        found.append(Change(" › ".join(path), *shown))
        if len(found) == MOST:
            break
    return found


_NOTHING = object()
type _Difference = tuple[tuple[str, ...], Any, Any]


def _differences(value: Any, before: Any, path: tuple[str, ...]) -> Iterator[_Difference]:
    if not isinstance(value, list) or type(value) is not type(before) or len(path) > MAX_DEPTH:
        if type(value) is not type(before) or value != before:
            yield path, before, value
        return
    now, earlier = _named(value), _named(before)
    for name, item in now.items():
        if name in earlier:
            yield from _differences(item, earlier[name], (*path, name))
        else:
            yield (*path, name), _NOTHING, item
    for name, item in earlier.items():
        if name not in now:
            yield (*path, name), item, _NOTHING


def _named(value: list[Any]) -> dict[str, Any]:
    return dict(value) if isinstance(value, Pairs) else {str(place): item for place, item in enumerate(value)}


def _text(path: tuple[str, ...], value: Any, *, masked: bool) -> str:
    if isinstance(value, list):
        return f"{{{len(value)}}}" if isinstance(value, Pairs) else f"[{len(value)}]"
    if not isinstance(value, str):
        return json.dumps(value)
    is_personal, key = any(is_personal_branch(name) for name in path[:-1]), path[-1] if path else ""
    mask = mask_number if isinstance(value, Number) else mask_value
    text = mask(key, value, is_personal) if masked else value
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
