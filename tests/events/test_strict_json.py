"""JSON at the door: what is refused, what is kept byte for byte."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.json_depth import MAX_DEPTH, is_deeper_than
from events.strict_json import NotStrict, read, read_line


def values(raw: bytes, most: int = 1000) -> list:
    return [item.value for item in read(raw, max_items=most).items]


def code(raw: bytes, most: int = 1000) -> str:
    with pytest.raises(NotStrict) as refused:
        list(read(raw, max_items=most).items)
    return refused.value.code


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "not_json"),
        (b"  \n", "not_json"),
        (b"{", "not_json"),
        (b"{'a': 1}", "not_json"),
        (b'{"a": 1} x', "not_json"),
        (b'{"a": "\x00"}', "not_json"),
        (b'{"a": 01}', "not_json"),
        (b'[{"a": 1} {"a": 2}]', "not_json"),
        (b'[{"a": 1},]', "not_json"),
        (b'[{"a": 1}] x', "not_json"),
        (b'[{"a": 1}', "not_json"),
        (b'{"a": "\xff"}', "not_utf8"),
        (b'{"a": "\xed\xa0\x80"}', "not_utf8"),
        (b'{"a": 1, "a": 2}', "duplicate_key"),
        (b'{"a": {"b": 1, "b": 1}}', "duplicate_key"),
        (b'{"a": NaN}', "not_a_number"),
        (b'{"a": -Infinity}', "not_a_number"),
        (b'{"a": 9223372036854775808}', "number_too_large"),
        (b'{"a": -9223372036854775809}', "number_too_large"),
        (b'{"a": ' + b"9" * 100_000 + b"}", "number_too_large"),
        (b'{"a": 1e999}', "number_too_large"),
        (b"[" * 100_000, "too_deep"),
        (b'{"a":' * 100_000, "too_deep"),
        (b"[" * 100_000 + b"]" * 100_000, "too_deep"),
        (b'["]",' * 100_000, "too_deep"),
        (b'["]",' * 100_000 + b"1" + b',"["]' * 100_000, "too_deep"),
        (b"[" + b",".join([b"{}"] * 100_000) + b"]", "too_many_events"),
    ],
)
def test_what_readers_could_disagree_about_is_refused(raw, expected):
    assert code(raw) == expected


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a": "\\u0000"}', "\0"),
        (b'{"a": "\\ud800"}', "\ud800"),
        (b'{"a": 9223372036854775807}', 2**63 - 1),
        (b'{"a": -9223372036854775808}', -(2**63 - 1) - 1),
        (b'\xef\xbb\xbf{"a": 1}', 1),
    ],
)
def test_what_json_allows_is_read(raw, value):
    assert values(raw) == [{"a": value}]


def test_what_is_no_json_is_told_with_its_place():
    with pytest.raises(NotStrict, match="control character at line 1, column 8"):
        read(b'{"a": "\x00"}', max_items=1)


@pytest.mark.parametrize("raw", [b"[" * 2_000_000, b"[" + b'{"a":' * 400_000, b"[" + b'[{"a":' * 400_000])
def test_depth_harms_no_thread_with_a_small_stack(raw):
    codes = []
    before = threading.stack_size(2**20)  # half of what threads of servers have
    try:
        thread = threading.Thread(target=lambda: codes.append(code(raw)))
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    assert codes == ["too_deep"]


def test_every_item_keeps_its_exact_bytes():
    raw = '[ {"a" : "ü"},\n{"b":  1.10} ]'.encode()
    assert [item.body for item in read(raw, max_items=9).items] == ['{"a" : "ü"}'.encode(), b'{"b":  1.10}']


def test_a_single_object_keeps_even_its_white_space():
    document = read(b' {"a": 1}\n', max_items=1)
    assert (document.is_single, next(iter(document.items)).body) == (True, b' {"a": 1}\n')


def test_a_stream_is_told_from_pretty_printing_without_being_announced():
    assert values(b'{"a": 1}\n{"a": 2}\r\n\n{"a": 3}') == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert values(b'{\n "a": {\n}\n}\n') == [{"a": {}}]


def test_an_item_that_is_json_but_not_strict_is_refused_alone():
    items = list(read(b'[{"a": 1, "a": 2}, {"b": NaN}, {"c": 3}]', max_items=9).items)
    assert [item.refusal and item.refusal.code for item in items] == ["duplicate_key", "not_a_number", None]
    assert items[0].body == b'{"a": 1, "a": 2}'


def test_a_bad_line_is_refused_alone():
    items = read(b'{"a": 1}\n{"a": \n' + b"[" * 100 + b'\n{"b": 1}', max_items=9).items
    assert [item.refusal and item.refusal.code for item in items] == [None, "not_json", "too_deep", None]


def test_a_list_of_exactly_as_many_as_allowed_is_read():
    assert len(values(b"[{},{}]", most=2)) == 2
    assert code(b"[{},{},{}]", most=2) == "too_many_events"


@pytest.mark.parametrize("brackets", [b"[]", b'{"[[[[[": "}}}}"}', b'["' + b"[" * 200 + b'\\"' + b"{" * 200 + b'"]'])
def test_brackets_inside_strings_are_not_depth(brackets):
    assert not is_deeper_than(brackets, 5)


@given(st.text(alphabet='[]{}"\\\\a').map(str.encode))
def test_depth_is_that_of_the_brackets_outside_strings(raw):
    deepest = depth = 0
    is_inside = is_escaped = False
    for sign in raw.decode():
        if is_inside:
            is_inside = is_escaped or sign != '"'
            is_escaped = sign == "\\" and not is_escaped
        elif sign == '"':
            is_inside = True
        elif sign == "\\":
            break  # no JSON from here on
        elif sign in "[]{}":
            depth += 1 if sign in "[{" else -1
            deepest = max(deepest, depth)
    assert is_deeper_than(raw, deepest - 1) or deepest == 0
    assert "\\" in raw.decode() or not is_deeper_than(raw, deepest)


def test_depth_is_allowed_up_to_the_limit():
    def nested(depth):
        return b"[" * depth + b"]" * depth

    assert not is_deeper_than(nested(MAX_DEPTH), MAX_DEPTH)
    assert is_deeper_than(nested(MAX_DEPTH + 1), MAX_DEPTH)
    assert read_line(nested(MAX_DEPTH + 1)).refusal.code == "too_deep"
