"""Reads single values in every spelling of Vrio: labels, numbers as text, real numbers, three kinds of "nothing".

The record readers of this package are written with these words only.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from events.facts import Broken

Record = Mapping[str, Any]

NOTHING: Record = {}
ABSENT = frozenset(("", "---", "0000-00-00", "0000-00-00 00:00:00"))
YES = frozenset(("1", "yes", "true", "y"))
NO = frozenset(("0", "no", "false", "n"))
AMOUNT = re.compile(r"-?\d{1,12}(\.\d{1,8})?")
SCIENTIFIC = re.compile(r"-?\d+(\.\d+)?[eE][+-]?\d{1,2}")
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(\D|$))")


def text(record: Record, *names: str) -> str:
    """The first of these fields that says something, as clean text; empty when none does."""
    for name in names:
        value = record.get(name)
        if value is None:
            continue
        if type(value) is not str:
            if isinstance(value, bool | dict | list):
                continue
            value = str(value)
        words = clean(value)
        if words not in ABSENT:
            return words
    return ""


def clean(words: str) -> str:
    """Without outer blanks, and without NUL and lone surrogates, which are legal JSON and legal nowhere else."""
    words = words.strip()
    if words.isascii() and "\0" not in words:
        return words
    return words.replace("\0", "").encode("utf-8", "replace").decode().strip()


def identity(record: Record, *names: str) -> str:
    """An id as text. Vrio writes "0" where there is none."""
    for name in names:
        words = text(record, name)
        if words and words != "0":
            return words
    return ""


def flag(record: Record, *names: str) -> bool | None:
    """true/false, 1/0, "1"/"0" or "Yes"/"No"; None when no field says either."""
    for name in names:
        value = record.get(name)
        if isinstance(value, bool):
            return value
        word = str(value).strip().lower()
        if word in YES:
            return True
        if word in NO:
            return False
    return None


def money(record: Record, *names: str) -> Decimal | None:
    """An amount, exactly as written; raises Broken for what is no amount."""
    for name in names:
        words = text(record, name)
        if words:
            return amount(name, words)
    return None


def amount(name: str, words: str) -> Decimal:
    if AMOUNT.fullmatch(words):
        return Decimal(words)
    plain = plain_digits(THOUSANDS.sub("", words.lstrip("$€£ ")))
    if not AMOUNT.fullmatch(plain):
        raise Broken(name, f"“{words[:40]}” is not an amount.")
    return Decimal(plain)


def plain_digits(words: str) -> str:
    """A JSON number such as 1E3 without its exponent."""
    return format(Decimal(words), "f") if SCIENTIFIC.fullmatch(words) else words


def moment(record: Record, zone: str, *names: str) -> datetime | None:
    """The first of these dates as an aware moment in the shop's zone, None when all are unset; raises Broken."""
    for name in names:
        words = text(record, name)
        if words:
            return in_zone(name, words, zone)
    return None


def in_zone(name: str, words: str, zone: str) -> datetime:
    """Vrio's clock reads local time. An hour that comes twice is the first; one that does not exist moves forward."""
    shop = clock(zone)
    try:
        read = datetime.fromisoformat(words)
        aware = read if read.tzinfo else read.replace(tzinfo=shop, fold=0)
        return aware.astimezone(UTC).astimezone(shop)
    except (ValueError, OverflowError):
        raise Broken(name, f"“{words[:40]}” is not a date.") from None


@lru_cache(maxsize=64)
def clock(zone: str) -> ZoneInfo:
    return ZoneInfo(zone)


def day(record: Record, *names: str) -> date | None:
    """The calendar day of the first of these dates; an unreadable one says nothing."""
    for name in names:
        words = text(record, name)
        if words:
            try:
                return date.fromisoformat(words[:10])
            except ValueError:
                continue
    return None


def nested(record: Record, *names: str) -> Record:
    """The first of these fields that holds an object; an empty one when none does."""
    for name in names:
        value = record.get(name)
        if isinstance(value, dict) and value:
            return value
    return NOTHING


def listed(record: Record, *names: str) -> Iterator[Record]:
    """The objects of the first of these fields that holds any; Vrio also writes lists as objects keyed by id."""
    for name in names:
        value = record.get(name)
        entries = list(value.values()) if isinstance(value, dict) else value
        if isinstance(entries, list):
            found = [entry for entry in entries if isinstance(entry, dict)]
            if found:
                yield from found
                return
