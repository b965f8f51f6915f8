"""What people paste instead of a private key, recognised before any call."""

import pytest

from connections.key_shape import problem_with_private_key, problem_with_public_key

KEY = "pk_0123456789abcdef0123456789abcdef01"


@pytest.mark.parametrize(
    ("pasted", "words"),
    [
        ("AbC123", "public key"),
        (f"Klaviyo-API-Key {KEY}", "copied along"),
        (f"Authorization: Klaviyo-API-Key {KEY}", "copied along"),
        (f'"{KEY}"', "quotes"),
        (f"“{KEY}”", "quotes"),
        ("pk_0123456789 abcdef0123456789", "space"),
        ("pk_0123456789abcdef\n0123456789", "line break"),
        ("pk_0123456789abcdéf0123456789", "no Klaviyo key has"),
        ("pk_0123456789abcdef\x000123456789", "no Klaviyo key has"),
        ("PK_0123456789abcdef0123456789", "small letters"),
        ("sk_0123456789abcdef0123456789", "something else"),
        ("pk_0123", "part"),
        ("pk_0123456789abcdef0123456789!", "other characters"),
    ],
)
def test_each_mistake_is_named_with_what_to_do(pasted, words):
    assert words in problem_with_private_key(pasted)


@pytest.mark.parametrize("key", [KEY, "pk_sandbox_DemoA1_full", "pk_" + "x" * 16, "pk_" + "x" * 60])
def test_a_private_key_of_any_length_passes(key):
    assert problem_with_private_key(key) is None


def test_no_sentence_repeats_what_was_pasted():
    assert "0123456789" not in problem_with_private_key("pk_0123456789 abc")


@pytest.mark.parametrize(
    ("pasted", "words"), [(KEY, "private key"), ("AbC12", "six letters"), ("AbC1234", "six letters")]
)
def test_the_public_field_knows_its_mistakes_too(pasted, words):
    assert words in problem_with_public_key(pasted)


@pytest.mark.parametrize("key", ["", "AbC123"])
def test_a_public_key_or_none_is_fine(key):
    assert problem_with_public_key(key) is None
