"""JSON as nested <details>, built on the server: exact numbers, every duplicate key, bounded in size and depth.

Beside the raw text on the opened row. Pure: bytes in, safe HTML out; text that looks like markup stays text.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from webhooks_log.masking import is_personal_branch, mask_number, mask_value

MAX_BYTES = 128_000  # what is larger is shown as raw text only
MAX_NODES = 350
MAX_DEPTH = 30
MAX_TEXT = 2_000  # characters of one value


class Number(str):
    """A number as it was written: 1.10 stays 1.10."""

    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    """An object as it was written: order kept, duplicate keys kept."""

    __slots__ = ()


class NotATree(ValueError):
    """These bytes cannot be folded; the message says why to a reader."""


def parse(content: bytes) -> Any:
    """The JSON value, its objects as Pairs and its numbers as Number; NotATree says why there is none."""
    if not content.strip():
        raise NotATree("Empty.")
    if len(content) > MAX_BYTES:
        raise NotATree(f"Too large to fold ({len(content):,} bytes): see the raw text.")
    try:
        return json.loads(
            content.decode(), object_pairs_hook=Pairs, parse_int=Number, parse_float=Number, parse_constant=Number
        )
    except UnicodeDecodeError:
        raise NotATree("Not UTF-8: see the raw text.") from None
    except RecursionError:
        raise NotATree("Nested too deeply to fold: see the raw text.") from None
    except ValueError:
        raise NotATree("Not JSON: see the raw text.") from None


def tree(value: Any, before: Any = None, *, masked: bool = False) -> SafeString:
    """The folding tree of a parsed value. `before` is an earlier version of it: what went is struck out, what came
    or changed is marked."""
    drawing = Drawing(masked=masked, compares=before is not None)
    drawing.node("", value, before, 0, personal=False)
    if drawing.left_out:
        drawing.parts.append('<div class="vt-more">More than is shown here: see the raw text.</div>')
    return mark_safe("".join(drawing.parts))  # noqa: S308 - every text in it went through escape()


@dataclass
class Drawing:
    """One tree being written, and how much of the bound is used."""

    masked: bool
    compares: bool
    parts: list[str] = field(default_factory=list)
    nodes: int = 0
    left_out: bool = False

    def node(self, key: str, value: Any, before: Any, depth: int, *, personal: bool, mark: str = "") -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            self.left_out = True
            return
        if isinstance(value, list) and value:
            self.branch(key, value, before, depth, personal=personal, mark=mark)
        else:
            self.leaf(key, value, before, personal=personal, mark=mark)

    def branch(self, key: str, value: list[Any], before: Any, depth: int, *, personal: bool, mark: str) -> None:
        is_object = isinstance(value, Pairs)
        count = f"{{{len(value)}}}" if is_object else f"[{len(value)}]"
        opened = " open" if depth < 6 and len(value) <= 60 else ""
        personal = personal or is_personal_branch(key)
        self.parts.append(
            f'<details class="vt{_mark(mark)}"{opened}><summary>{_key(key)}<span class="vt-n">{count}</span></summary>'
        )
        for name, item, earlier, change in _children(value, before, compares=self.compares and not mark):
            if self.left_out:
                break
            self.node(name, item, earlier, depth + 1, personal=personal, mark=mark or change)
        self.parts.append("</details>")

    def leaf(self, key: str, value: Any, before: Any, *, personal: bool, mark: str) -> None:
        self.parts.append(f'<div class="vt-l{_mark(mark)}">{_key(key)}{self.text(key, value, personal)}')
        changed = self.compares and not mark and before is not None and not _equal(value, before)
        if changed:
            self.parts.append(f' <del title="before">{self.text(key, before, personal)}</del>')
        self.parts.append("</div>")

    def text(self, key: str, value: Any, personal: bool) -> str:
        if isinstance(value, list):
            return '<span class="vt-n">{}</span>' if isinstance(value, Pairs) else '<span class="vt-n">[]</span>'
        if isinstance(value, Number):
            number = mask_number(key, value, personal) if self.masked else value
            return f'<span class="vt-num">{escape(number[:MAX_TEXT])}</span>'
        if not isinstance(value, str):
            return f'<span class="vt-num">{json.dumps(value)}</span>'
        shown = mask_value(key, value, personal) if self.masked else value
        cut = "" if len(shown) <= MAX_TEXT else f'<span class="vt-n">… {len(shown) - MAX_TEXT:,} more</span>'
        return f'<span class="vt-s">{escape(shown[:MAX_TEXT])}</span>{cut}'


def _children(value: list[Any], before: Any, *, compares: bool) -> list[tuple[str, Any, Any, str]]:
    """(name, value, earlier value, mark) of each child; what only the earlier version had comes last, marked gone."""
    if not isinstance(value, Pairs):
        earlier = before if isinstance(before, list) and not isinstance(before, Pairs) else []
        return [(str(i), item, earlier[i] if i < len(earlier) else None, "") for i, item in enumerate(value)]
    if not compares or not isinstance(before, Pairs):
        return [(name, item, None, "") for name, item in value]
    earlier, now = dict(before), dict(value)
    came = [(name, item, earlier.get(name), "" if name in earlier else "came") for name, item in value]
    return came + [(name, item, None, "went") for name, item in before if name not in now]


def _equal(value: Any, before: Any) -> bool:
    return type(value) is type(before) and value == before


def _key(key: str) -> str:
    return f'<span class="vt-k">{escape(key[:200])}</span>' if key else ""


def _mark(mark: str) -> str:
    return f" vt-{mark}" if mark else ""
