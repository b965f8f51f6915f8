"""The quick reader: what it lets pass is what the strict one reads, and whatever is odd it leaves to that one."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from events.json_depth import MAX_DEPTH
from events.quick_json import Doubt, elements_of, value_of
from events.strict_json import _STRICT, read

NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
SPELLINGS = r'{ } [ ] , : " "a" "b" "\" \\ \u0022 \u002c \u002C \ud800 \/ 0 - 1 .5 e400 E5 NaN Infinity true null ü'
PIECES = st.sampled_from([*SPELLINGS.split(), "9" * 16, "9" * 20, *" \n\t\f\0\ud800\ufeff"])


def strictly(raw: bytes):
    """What the strict reader alone makes of it."""
    return _STRICT.decode(raw.decode())


def same(one, other) -> bool:
    """Equal, and of equal types: to Python, 1 is 1.0 and True."""
    return repr(one) == repr(other)


@given(NESTED, st.booleans())
def test_what_json_writes_is_read_to_the_same_value(value, is_ascii):
    raw = json.dumps(value, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    try:
        quickly = value_of(raw)
    except Doubt:
        return
    assert same(quickly, strictly(raw))


@given(st.lists(PIECES, max_size=12).map(lambda pieces: "".join(pieces).encode("utf-8", "surrogatepass")))
@example(b'{"a": "", "a": ""}')
@example(b'{"a": 1, "\\u0061": 2}')
@example(b'{"a": "\\u002c", "a": "\\u002C"}')
@example(b'{"a": {"b": 1}, "c": {"b": 1, "b": "\\""}}')
@example(b'["\\\\", {"a": "\\\\\\"", "a": 1}]')
def test_whatever_passes_the_strict_reader_lets_pass(raw):
    try:
        quickly = value_of(raw)
    except Doubt:
        return
    assert same(quickly, strictly(raw))


@given(st.dictionaries(st.text(max_size=3), NESTED, min_size=1, max_size=3), st.data())
def test_no_key_appears_twice(record, data):
    name = data.draw(st.sampled_from(sorted(record)))
    pairs = data.draw(st.permutations([*record.items(), (name, data.draw(NESTED))]))
    twice = ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in pairs)
    with pytest.raises(Doubt):
        value_of(b'[{"x":"y"},{' + twice.encode() + b"}]")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": 9007199254740992}',
        b'{"a": 9223372036854775808}',
        b'{"a": 18446744073709551616}',
        b'{"a": -9223372036854775809}',
        b'{"a": ' + b"1" * 5000 + b"}",
        b'{"a": 1e400}',
        b'{"a": NaN}',
        b'{"a": "\\ud800"}',
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": 1} {"b": 2}',
        b'{"a": 1,}',
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b"[" * 2_000_000,
        b"",
    ],
)
def test_what_is_odd_is_left_to_the_strict_reader(raw):
    with pytest.raises(Doubt):
        value_of(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b' {"a" : "caf\\u00e9 \\ud83d\\ude00 \\u0000 \\/ \\"quoted\\" \\\\"}\n',
        b'{"a": 9007199254740991, "b": -0, "c": 1.10, "d": 1e-400, "e": [true, false, null]}',
        '{"ü": "é", "nested": {"ü": {"ü": ""}}}'.encode(),
        b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
    ],
)
def test_what_vrio_may_well_send_passes(raw):
    assert same(value_of(raw), strictly(raw))


@given(st.lists(st.dictionaries(st.text(max_size=3), NESTED, max_size=2), max_size=4), st.sampled_from([None, 1]))
def test_elements_are_the_exact_bytes_sent(records, indent):
    written = [json.dumps(record, indent=indent).encode() for record in records]
    raw = b"\n[ " + b" ,\n".join(written) + b"\t]"
    try:
        elements = [bytes(element) for element in elements_of(raw)]
    except Doubt:
        return
    assert elements == written


@pytest.mark.parametrize("raw", [b"", b"null", b'{"a": []}', b"[] x", b"[1,]", b"[" * 2_000_000, b"[[]"])
def test_what_is_no_list_is_left_to_the_strict_reader(raw):
    with pytest.raises(Doubt):
        elements_of(raw)


def test_a_list_of_hundreds_of_thousands_of_trifles_is_not_taken_apart():
    with pytest.raises(Doubt):
        elements_of(b"[" + b",".join([b"1"] * 600_000) + b"]")


def test_a_bad_element_is_refused_alone():
    raw = b'[{"a": 1}, {"a": "\xff"}, ' + b"[" * 100 + b"]" * 100 + b', {"a": 9223372036854775808}, {"b": 2}]'
    refusals = [item.refusal and item.refusal.code for item in read(raw, max_items=9).items]
    assert refusals == [None, "not_utf8", "too_deep", "number_too_large", None]
