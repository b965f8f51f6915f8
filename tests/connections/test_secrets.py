"""What seals a key opens it again, under rotating keys and never under others; hashes are keyed and stay."""

import base64
import hmac

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from connections import secrets
from connections.secrets import KeyLost

OLD, NEW, STRANGE = (Fernet.generate_key().decode() for _ in range(3))
KEY = "pk_0123456789abcdef0123456789abcd42"
BODY = b'{"webhook_type": "order"}'


@pytest.fixture(autouse=True)
def one_key(settings) -> None:
    settings.FIELD_KEYS = [OLD]


@given(st.text(max_size=200).filter(lambda text: text.isprintable()))
def test_what_was_sealed_opens_again(secret: str) -> None:
    assert secrets.unseal(secrets.seal(secret)) == secret


def test_the_seal_shows_nothing_and_differs_each_time() -> None:
    one, other = secrets.seal(KEY), secrets.seal(KEY)
    assert one != other
    assert KEY.encode() not in one


def test_a_new_key_in_front_opens_what_the_old_one_sealed(settings) -> None:
    sealed = secrets.seal(KEY)
    settings.FIELD_KEYS = [NEW, OLD]
    assert secrets.unseal(sealed) == KEY


def test_after_sealing_anew_the_old_key_may_go(settings) -> None:
    sealed = secrets.seal(KEY)
    settings.FIELD_KEYS = [NEW, OLD]
    anew = secrets.reseal(sealed)
    settings.FIELD_KEYS = [NEW]
    assert secrets.unseal(anew) == KEY
    with pytest.raises(KeyLost):
        secrets.unseal(sealed)


@pytest.mark.parametrize("use", [secrets.unseal, secrets.reseal, secrets.authorization])
def test_without_its_key_a_secret_is_lost_and_says_what_to_do(settings, use) -> None:
    sealed = secrets.seal(KEY)
    settings.FIELD_KEYS = [STRANGE]
    with pytest.raises(KeyLost, match="FIELD_KEYS") as lost:
        use(sealed)
    assert (lost.value.__cause__, lost.value.__suppress_context__) == (None, True)


def test_a_tampered_seal_is_lost() -> None:
    sealed = bytearray(secrets.seal(KEY))
    sealed[40] ^= 1
    with pytest.raises(KeyLost):
        secrets.unseal(bytes(sealed))


def test_a_database_that_hands_out_memory_views_is_understood() -> None:
    assert secrets.unseal(memoryview(secrets.seal(KEY))) == KEY


def test_the_header_is_the_one_klaviyo_asks_for() -> None:
    assert secrets.authorization(secrets.seal(KEY)) == f"Klaviyo-API-Key {KEY}"


def test_a_fingerprint_depends_on_secret_purpose_and_our_key_and_on_nothing_that_rotates(settings) -> None:
    before = secrets.fingerprint(KEY, "klaviyo")
    settings.FIELD_KEYS = [NEW]
    assert secrets.fingerprint(KEY, "klaviyo") == before
    assert secrets.fingerprint(KEY, "door") != before
    assert secrets.fingerprint(KEY + "x", "klaviyo") != before
    settings.FINGERPRINT_KEY = "another-one"
    assert secrets.fingerprint(KEY, "klaviyo") != before


def test_a_hint_is_four_characters() -> None:
    assert secrets.hint(KEY) == "cd42"


def test_tokens_are_long_new_and_say_their_purpose() -> None:
    tokens = {secrets.new_token("vk") for _ in range(100)}
    assert len(tokens) == 100
    assert all(token.startswith("vk_") and len(token) >= 45 for token in tokens)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
@pytest.mark.parametrize("prefix", ["", "sha256="])
def test_a_true_signature_matches_and_any_other_does_not(algorithm: str, encoding: str, prefix: str) -> None:
    digest = hmac.digest(b"shared", BODY, algorithm)
    given_text = prefix + (digest.hex().upper() if encoding == "hex" else base64.b64encode(digest).decode())
    form = {"algorithm": algorithm, "encoding": encoding, "prefix": prefix}
    sealed = secrets.seal("shared")
    assert secrets.signature_matches(sealed, BODY, f" {given_text} ", **form)
    assert not secrets.signature_matches(sealed, BODY + b" ", given_text, **form)
    assert not secrets.signature_matches(secrets.seal("other"), BODY, given_text, **form)
    assert not secrets.signature_matches(sealed, BODY, "", **form)
    assert not secrets.signature_matches(sealed, BODY, "é" * 64, **form)


def test_a_signature_is_no_longer_checked_once_its_field_key_is_gone(settings) -> None:
    sealed = secrets.seal("shared")
    given = hmac.digest(b"shared", BODY, "sha256").hex()
    form = {"algorithm": "sha256", "encoding": "hex", "prefix": ""}
    assert secrets.signature_matches(sealed, BODY, given, **form)
    settings.FIELD_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(KeyLost):
        secrets.signature_matches(sealed, BODY, given, **form)
