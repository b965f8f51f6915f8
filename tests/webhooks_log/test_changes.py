"""The short list of what differs between two calls."""

from tests.webhooks_log import shop
from webhooks_log.changes import MOST, Change, changes
from webhooks_log.tree import parse

PERSON = "data › attributes › profile › data › attributes"


def told(now: bytes, before: bytes, *, masked: bool = False) -> list[tuple[str, str | None, str | None]]:
    return [(found.path, found.before, found.now) for found in changes(parse(now), parse(before), masked=masked)]


def test_a_dropped_phone_is_named_in_both_its_places():
    assert told(shop.message(phone=""), shop.message()) == [
        (f"{PERSON} › properties › $phone_number", shop.REFUSED_PHONE, None),
        (f"{PERSON} › phone_number", shop.REFUSED_PHONE, None),
    ]


def test_what_came_what_changed_and_what_is_written_otherwise():
    assert told(b'{"clv": 1.10, "a": [1, {"b": true}], "new": {}}', b'{"clv": 1.1, "a": [1, {"b": false}, 3]}') == [
        ("clv", "1.1", "1.10"),
        ("a › 1 › b", "false", "true"),
        ("a › 2", "3", None),
        ("new", None, "{0}"),
    ]


def test_equal_messages_have_none():
    assert told(shop.message(), shop.message()) == []


def test_without_the_permission_nobody_is_named():
    shown = told(shop.message(phone="", email="a@b.co"), shop.message(), masked=True)
    assert (f"{PERSON} › email", "s•••@k•••.com", "a•••@b•••.co") in shown
    assert "5551234567" not in repr(shown)


def test_the_list_is_short_and_its_values_too():
    before = b"[" + b",".join(b'"x"' for _ in range(100)) + b"]"
    after = b"[" + b",".join(b'"' + b"y" * 500 + b'"' for _ in range(100)) + b"]"
    found = told(after, before)
    assert len(found) == MOST
    assert found[0][2] == "y" * 80 + "…"


def test_a_thousand_levels_end():
    deep, deeper = b"[" * 900 + b"1" + b"]" * 900, b"[" * 900 + b"2" + b"]" * 900
    assert changes(parse(deep), parse(deeper)) == [Change(" › ".join("0" * 31), "[1]", "[1]")]
