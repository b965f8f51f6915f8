"""Make, rotate and revoke the ways in which a Source proves who it is.

Before the corridor: what is made here is what the door looks up. The clear text exists only in what these return.
"""

from datetime import timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.views.decorators.debug import sensitive_variables

from connections import secrets
from connections.models import ApiKey, Source


@sensitive_variables()
def new_bearer(
    source: Source,
    *,
    name: str,
    scope: str = ApiKey.Scope.SEND,
    allowed_addresses: str = "",
    by: AbstractBaseUser | None = None,
    clear: str = "",
) -> tuple[ApiKey, str]:
    """An API key and its clear text, which is never seen again. `clear` takes a key that is known already."""
    clear = clear or secrets.new_token("vk")
    key = _hashed(source, ApiKey.Kind.BEARER, clear, name=name, allowed_addresses=allowed_addresses, by=by)
    key.scope = scope
    key.save()
    return key, clear


@sensitive_variables()
def new_address(
    source: Source, *, name: str, allowed_addresses: str = "", by: AbstractBaseUser | None = None
) -> tuple[ApiKey, str]:
    """A secret address and its token, which is never seen again."""
    clear = secrets.new_token("va")
    key = _hashed(source, ApiKey.Kind.ADDRESS, clear, name=name, allowed_addresses=allowed_addresses, by=by)
    key.save()
    return key, clear


@sensitive_variables()
def new_hmac(
    source: Source,
    *,
    name: str,
    header: str,
    algorithm: str = "sha256",
    encoding: str = "hex",
    prefix: str = "",
    allowed_addresses: str = "",
    by: AbstractBaseUser | None = None,
    clear: str = "",
) -> tuple[ApiKey, str]:
    """A signing secret, sealed, and its clear text. `clear` takes one that Vrio's screen already holds."""
    clear = clear or secrets.new_token("vs")
    key = ApiKey.objects.create(
        source=source,
        kind=ApiKey.Kind.HMAC,
        name=name,
        hint=secrets.hint(clear),
        public_id=f"sig{get_random_string(16).lower()}",
        sealed_secret=secrets.seal(clear),
        hmac_header=header,
        hmac_algorithm=algorithm,
        hmac_encoding=encoding,
        hmac_prefix=prefix,
        allowed_addresses=allowed_addresses,
        created_by=by,
    )
    return key, clear


@sensitive_variables("clear")
def rotate(key: ApiKey, *, days: int, by: AbstractBaseUser | None = None) -> tuple[ApiKey, str]:
    """A new key with the old one's settings; the old stays valid for `days` more, never longer than it was."""
    until = timezone.now() + timedelta(days=days)
    with transaction.atomic():
        fresh, clear = _alike(key, by)
        key.valid_until = min(until, key.valid_until or until)
        key.save(update_fields=["valid_until"])
    return fresh, clear


def revoke(key: ApiKey) -> bool:
    """Shut the key out for good; True if it was still open. Every web process obeys within a second."""
    return ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()) == 1


@sensitive_variables("clear")
def _alike(key: ApiKey, by: AbstractBaseUser | None) -> tuple[ApiKey, str]:
    common = {"name": key.name, "allowed_addresses": key.allowed_addresses, "by": by}
    if key.kind == ApiKey.Kind.BEARER:
        return new_bearer(key.source, scope=key.scope, **common)
    if key.kind == ApiKey.Kind.ADDRESS:
        return new_address(key.source, **common)
    return new_hmac(
        key.source,
        header=key.hmac_header,
        algorithm=key.hmac_algorithm,
        encoding=key.hmac_encoding,
        prefix=key.hmac_prefix,
        **common,
    )


@sensitive_variables()
def _hashed(
    source: Source, kind: str, clear: str, *, name: str, allowed_addresses: str, by: AbstractBaseUser | None
) -> ApiKey:
    return ApiKey(
        source=source,
        kind=kind,
        name=name,
        hint=secrets.hint(clear),
        digest=secrets.fingerprint(clear, kind),
        allowed_addresses=allowed_addresses,
        created_by=by,
    )
