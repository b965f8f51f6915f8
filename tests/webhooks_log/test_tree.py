"""The folding tree: exact, bounded, and never markup of somebody else's."""

import json

import pytest

from webhooks_log.tree import MAX_BYTES, MAX_DEPTH, MAX_NODES, NotATree, parse, tree


def test_numbers_and_duplicate_keys_stay_as_they_were_written():
    html = tree(parse(b'{"price": 1.10, "big": 12345678901234567890123, "price": 1.1, "none": null, "yes": true}'))
    for written in (">1.10<", ">12345678901234567890123<", ">1.1<", ">null<", ">true<"):
        assert written in html
    assert html.count(">price<") == 2


def test_markup_and_template_syntax_stay_text():
    html = tree(parse(json.dumps({"<b>k</b>": "<script>alert(1)</script>{{ secret }}{% now 'Y' %}"}).encode()))
    assert "<script" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{ secret }}" in html


@pytest.mark.parametrize("content", [b"", b"not json", b"\xff\xfe{}", b"[" * 100_000, b'"' + b"v" * MAX_BYTES + b'"'])
def test_what_cannot_be_folded_says_so(content):
    with pytest.raises(NotATree):
        tree(parse(content))


@pytest.mark.parametrize("content", [b'{"a":' * 1000 + b"1" + b"}" * 1000, b"[" * 1000 + b"]" * 1000])
def test_a_thousand_levels_are_cut(content):
    html = tree(parse(content))
    assert "More than is shown here" in html
    assert html.count("vt-l") <= MAX_DEPTH + 1


def test_a_wide_body_is_bounded():
    html = tree(parse(json.dumps({f"key{number}": "v" * 50 for number in range(1900)}).encode()))
    assert html.count("vt-l") <= MAX_NODES
    assert len(html) < 90_000
    assert "More than is shown here" in html


def test_a_long_text_is_cut_and_says_how_much_is_left():
    html = tree(parse(json.dumps({"text": "x" * 5000}).encode()))
    assert "… 3,000 more" in html


def test_what_went_what_came_and_what_changed_are_marked():
    before = parse(b'{"email": "a@b.co", "phone_number": "+1555", "clv": "1", "same": [1]}')
    after = parse(b'{"email": "a@b.co", "clv": "2", "new": true, "same": [1]}')
    html = tree(after, before)
    assert 'vt-went"><span class="vt-k">phone_number</span>' in html
    assert 'vt-came"><span class="vt-k">new</span>' in html
    assert '<span class="vt-s">2</span> <del title="before"><span class="vt-s">1</span></del>' in html
    assert html.count("vt-went") == 1
    assert html.count("<del") == 1
