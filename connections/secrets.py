"""The only module that sees a private key in clear: seal, open, compare, fingerprint, hint.

Every other module holds sealed bytes, keyed hashes or the last four characters. Sealing is Fernet (AES-128-CBC with
HMAC-SHA256) under `FIELD_KEYS`, newest first, so that keys rotate; hashes are HMAC-SHA256 under `FINGERPRINT_KEY`,
which never rotates because what was hashed cannot be hashed again.
"""

import base64
import hmac
import secrets as random
from functools import lru_cache
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.views.decorators.debug import sensitive_variables


class KeyLost(Exception):
    """What was sealed cannot be opened with any of FIELD_KEYS."""


@sensitive_variables()
def seal(secret: str) -> bytes:
    """The secret, encrypted under the newest key."""
    return _fernet().encrypt(secret.encode())


@sensitive_variables()
def unseal(sealed: bytes) -> str:
    """The secret in clear; raises KeyLost when no key of FIELD_KEYS opens it."""
    try:
        return _fernet().decrypt(bytes(sealed)).decode()
    except InvalidToken:
        raise KeyLost(
            "None of FIELD_KEYS opens this secret. Put the old key back, or enter the secret again."
        ) from None


def reseal(sealed: bytes) -> bytes:
    """The same secret under the newest key, without its age being changed; raises KeyLost."""
    try:
        return _fernet().rotate(bytes(sealed))
    except InvalidToken:
        raise KeyLost("None of FIELD_KEYS opens this secret.") from None


@sensitive_variables()
def authorization(sealed: bytes) -> str:
    """The value of Klaviyo's Authorization header; raises KeyLost."""
    return f"Klaviyo-API-Key {unseal(sealed)}"


@sensitive_variables()
def fingerprint(secret: str, purpose: str) -> str:
    """A keyed hash (64 hex digits): equal for equal secrets of one purpose, useless to anybody without our key."""
    return hmac.new(settings.FINGERPRINT_KEY.encode(), f"{purpose}:{secret}".encode(), sha256).hexdigest()


@sensitive_variables()
def signature_matches(sealed: bytes, body: bytes, given: str, *, algorithm: str, encoding: str, prefix: str) -> bool:
    """Whether `given` signs `body` with the sealed secret: raw bytes, constant time; raises KeyLost."""
    signing = _signer(bytes(sealed), algorithm, tuple(settings.FIELD_KEYS)).copy()
    signing.update(body)
    digest = signing.digest()
    expected = digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()
    given = given.strip().removeprefix(prefix) if prefix else given.strip()
    given = given.lower() if encoding == "hex" else given
    return hmac.compare_digest(expected.encode(), given.encode())


def new_token(prefix: str) -> str:
    """A fresh random secret of 256 bits, its purpose readable in its prefix."""
    return f"{prefix}_{random.token_urlsafe(32)}"


def hint(secret: str) -> str:
    """The last four characters: enough to tell two keys apart, too little to use."""
    return secret[-4:]


@lru_cache(maxsize=1_000)
@sensitive_variables()
def _signer(sealed: bytes, algorithm: str, _field_keys: tuple[str, ...]) -> hmac.HMAC:
    """An HMAC that has taken in the secret and nothing else: to open a secret costs more than to sign with it."""
    return hmac.new(unseal(sealed).encode(), digestmod=algorithm)


def count_field_keys() -> int:
    """How many keys may open what is sealed; raises ValueError where one of them is no Fernet key."""
    return len([Fernet(key) for key in settings.FIELD_KEYS])


def _fernet() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.FIELD_KEYS])
