"""Read JSON as strictly as the rest of the corridor needs it, keeping the exact bytes of every item.

The first thing that happens to a request's body at the door: what passes here can be parsed again by every later
reader, and is the same to all of them. Pure.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

from events.json_depth import MAX_DEPTH, is_deeper_than
from events.quick_json import Doubt, elements_of, value_of

_LARGEST = 2**63
_WHITE = b" \t\r\n"
_BLANK = re.compile(r"[ \t\r\n]*")
_BOM = b"\xef\xbb\xbf"


class NotStrict(ValueError):
    """What is wrong, as a stable code, a sentence and, where there is one, the field's name."""

    def __init__(self, code: str, detail: str, field: str = "") -> None:
        super().__init__(detail)
        self.code, self.detail, self.field = code, detail, field


class Item(NamedTuple):
    """One value of a request: its exact bytes, and either what they mean or why they are refused."""

    body: bytes
    value: Any = None
    refusal: NotStrict | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A request's values, read one by one as they are asked for, so that no value outlives its turn; NotStrict may come
    in between. `is_single` tells one object from a list or a stream of one."""

    items: Iterable[Item]
    is_single: bool


def read(raw: bytes, *, max_items: int, as_lines: bool = False) -> Document:
    """The values in `raw`: one object, a list, or one value a line. Raises NotStrict where nothing can be told apart.

    A stream is recognised without being announced: a second value on a line of its own is no mistake of the sender's.
    """
    raw = raw.removeprefix(_BOM)
    if not as_lines:
        try:
            return _read_quickly(raw, max_items)
        except Doubt:
            pass
    text = _text(raw)
    start = _skip(text, 0)
    if start == len(text):
        raise NotStrict("not_json", "The body is empty; send a JSON object, a list, or one object a line.")
    if as_lines or _looks_like_lines(text, start):
        return Document(_lines(raw, max_items), is_single=False)
    _refuse_depth(raw)
    if text[start] == "[":
        return Document(_elements(text, start + 1, max_items), is_single=False)
    return Document([Item(raw, _whole(text, start))], is_single=True)


def read_line(line: bytes) -> Item:
    """One line of a stream, or one element of a list, without white space around it; what is wrong with it stays with
    it."""
    try:
        return Item(line, value_of(line))
    except Doubt:
        pass
    try:
        _refuse_depth(line)
        return Item(line, _whole(_text(line), 0))
    except NotStrict as refusal:
        return Item(line, refusal=refusal)


def _read_quickly(raw: bytes, max_items: int) -> Document:
    """One object, or a list whose elements can be told apart; raises Doubt about everything else."""
    if not raw.lstrip(_WHITE).startswith(b"["):
        return Document([Item(raw, value_of(raw))], is_single=True)
    elements = elements_of(raw)
    _refuse_count(len(elements), max_items)
    return Document((read_line(bytes(element)) for element in elements), is_single=False)


def _refuse_depth(raw: bytes) -> None:
    if is_deeper_than(raw, MAX_DEPTH):
        raise NotStrict("too_deep", f"The JSON nests deeper than {MAX_DEPTH} levels.")


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotStrict("not_utf8", f"The body is not UTF-8 at byte {error.start}.") from None


def _skip(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    return match.end() if match else position


def _looks_like_lines(text: str, start: int) -> bool:
    """Whether a first object ends on its line and another begins on a later one."""
    first, _, rest = text[start:].partition("\n")
    return first.rstrip().endswith("}") and rest.lstrip().startswith("{")


def _whole(text: str, start: int) -> Any:
    value, end = _decode(text, start)
    if _skip(text, end) != len(text):
        raise NotStrict("not_json", f"The JSON ends at character {end}, but more follows.")
    return value


def _elements(text: str, position: int, max_items: int) -> Iterator[Item]:
    position = _skip(text, position)
    if text[position : position + 1] == "]":
        return _refuse_rest(text, position + 1)
    for count in range(1, max_items + 2):
        _refuse_count(count, max_items)
        item, position = _element(text, position)
        yield item
        position = _skip(text, position)
        mark = text[position : position + 1]
        if mark == "]":
            return _refuse_rest(text, position + 1)
        if mark != ",":
            raise NotStrict("not_json", f"Expected a comma or the end of the list at character {position}.")
        position = _skip(text, position + 1)
    return None


def _element(text: str, start: int) -> tuple[Item, int]:
    """One element and where it ends. JSON that is not strict is refused alone: its end can still be told."""
    try:
        value, end = _decode(text, start)
        return Item(text[start:end].encode(), value), end
    except NotStrict as refusal:
        if refusal.code == "not_json":
            raise
        end = _decode_with(_LENIENT, text, start)[1]
        return Item(text[start:end].encode(), refusal=refusal), end


def _refuse_rest(text: str, position: int) -> None:
    if _skip(text, position) != len(text):
        raise NotStrict("not_json", f"The list ends at character {position}, but more follows.")


def _refuse_count(count: int, max_items: int) -> None:
    if count > max_items:
        raise NotStrict("too_many_events", f"A request carries at most {max_items} events; send them in parts.")


def _lines(raw: bytes, max_items: int) -> Iterator[Item]:
    lines = (line.strip(b" \t\r") for line in raw.split(b"\n"))
    for count, line in enumerate(filter(None, lines), 1):
        _refuse_count(count, max_items)
        yield read_line(line)


def _decode(text: str, start: int) -> tuple[Any, int]:
    return _decode_with(_STRICT, text, start)


def _decode_with(decoder: json.JSONDecoder, text: str, start: int) -> tuple[Any, int]:
    try:
        return decoder.raw_decode(text, start)
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" at")
        raise NotStrict("not_json", f"Not JSON: {what} at line {error.lineno}, column {error.colno}.") from None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise NotStrict("duplicate_key", f"The key {twice!r} appears twice in one object.", twice)
    return value


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -_LARGEST <= int(digits) < _LARGEST:
        raise NotStrict("number_too_large", "An integer does not fit into 64 bits; send it as text.")
    return int(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise NotStrict("number_too_large", "A number is larger than any double; send it as text.")
    return number


def _constant(name: str) -> NoReturn:
    raise NotStrict("not_a_number", f"{name} is not JSON; leave the value out or send null.")


def _any_number(_: str) -> int:
    return 0


_STRICT = json.JSONDecoder(object_pairs_hook=_pairs, parse_int=_integer, parse_float=_number, parse_constant=_constant)
_LENIENT = json.JSONDecoder(parse_int=_any_number, parse_float=_any_number, parse_constant=_any_number)
