"""Who is calling: an API key, a secret address, or a signature, looked up at most half a second ago.

First at the door. A Caller is proven; whoever is not gets a Problem, and nothing of what they sent is kept.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from threading import Lock
from time import monotonic

from django.conf import settings
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from connections import secrets
from connections.models import ApiKey
from connections.remote import remote_address
from events.envelope import clean
from events.models import Inbox
from events.problems import Problem

logger = logging.getLogger(__name__)

ADDRESS_DIGEST = "viaduct.address"  # the outermost layer leaves the hashed address token under this environ key
REMEMBERED_SECONDS = 0.5
MOST_REMEMBERED = 10_000
USE_NOTED_EVERY = timedelta(minutes=1)
STRANGERS_PER_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Caller:
    """A proven sender: its key, and what the key lets in."""

    key_id: int
    source_id: int
    merchant_id: int
    inbox_id: int
    kind: str
    scope: str
    networks: tuple
    valid_until: datetime | None
    sealed_secret: bytes | None
    hmac_header: str
    hmac_algorithm: str
    hmac_encoding: str
    hmac_prefix: str


def caller_by_key(request: HttpRequest) -> Caller:
    """Who holds the API key in `Authorization: Bearer` or `X-Api-Key`; raises Problem 401, 403 or 429."""
    clear = _key_in(request)
    if not clear:
        raise _unproven(request, "key_missing", "Send your API key as `Authorization: Bearer …` or `X-Api-Key`.")
    found = _look_up("digest", secrets.fingerprint(clear, ApiKey.Kind.BEARER), ApiKey.Kind.BEARER)
    if not found:
        raise _unproven(request, "key_unknown", "This API key is not known, or no longer valid.")
    return _admitted(request, found[0])


def caller_by_address(request: HttpRequest) -> Caller:
    """Who owns the secret address that was called; raises Problem 404 for an unknown one, 403 or 429."""
    digest = request.META.get(ADDRESS_DIGEST, "")
    found = _look_up("digest", digest, ApiKey.Kind.ADDRESS) if digest else ()
    if not found:
        _count_stranger(request)
        raise Problem(404, "not_found", "There is nothing at this address.")
    return _admitted(request, found[0])


def caller_by_signature(request: HttpRequest, public_id: str, body: bytes) -> Caller:
    """Whose secret signed these raw bytes. Any active secret of the named key's source will do, so that a rotation
    changes one field in Vrio and not two. Raises Problem 401, 403, 404 or 429."""
    candidates = _look_up("public_id", public_id, ApiKey.Kind.HMAC)
    if not candidates:
        _count_stranger(request)
        raise Problem(404, "not_found", "There is nothing at this address.")
    for caller in candidates:
        if _signed_by(caller, request, body):
            return _admitted(request, caller)
    header = candidates[0].hmac_header
    if header.upper().replace("-", "_") not in {name.removeprefix("HTTP_") for name in request.META}:
        raise _unproven(request, "signature_missing", f"The header {header} with the signature is missing.")
    raise _unproven(request, "signature_wrong", f"The signature in {header} does not fit the body and the secret.")


def note_use(caller: Caller, now: datetime) -> None:
    """Remember when the key was used, to the minute: not worth a write for each request."""
    noted_at = _noted.get(caller.key_id)
    if noted_at is None or noted_at < now - USE_NOTED_EVERY:
        _noted[caller.key_id] = now
        ApiKey.objects.filter(pk=caller.key_id).update(last_used_at=now)


def forget() -> None:
    """Empty what this process remembers of keys, their use, and strangers."""
    with _lock:
        _remembered.clear()
        _strangers.clear()
        _counted.clear()
        _noted.clear()


@sensitive_variables()
def _key_in(request: HttpRequest) -> str:
    scheme, _, credentials = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() == "bearer":
        return clean(credentials.strip())
    return clean(request.META.get("HTTP_X_API_KEY", "").strip())


def _signed_by(caller: Caller, request: HttpRequest, body: bytes) -> bool:
    given = request.META.get("HTTP_" + caller.hmac_header.upper().replace("-", "_"), "")
    if not given:
        return False
    try:
        return secrets.signature_matches(
            caller.sealed_secret,
            body,
            given,
            algorithm=caller.hmac_algorithm,
            encoding=caller.hmac_encoding,
            prefix=caller.hmac_prefix,
        )
    except secrets.KeyLost:
        logger.error("the signing secret of key %s cannot be opened with FIELD_KEYS", caller.key_id)
        return False


# ── What is remembered ───────────────────────────────────────────────────────────────────────────────────────────────
_lock = Lock()
_remembered: dict[tuple[str, str], tuple[float, tuple[Caller, ...]]] = {}
_strangers: dict[tuple[str, int], int] = {}
_counted: dict[tuple[int, int], int] = {}
_noted: dict[int, datetime] = {}


def _look_up(field: str, value: str, kind: str) -> Sequence[Caller]:
    """The callers behind a hash or a public id. Age counts from before the look-up; what is not found is not kept."""
    began_at = monotonic()
    known = _remembered.get((field, value))
    if known and began_at - known[0] < REMEMBERED_SECONDS:
        return [caller for caller in known[1] if _is_in_time(caller)]
    keys = ApiKey.objects.filter(kind=kind, digest=value) if field == "digest" else _siblings(value)
    callers = tuple(_caller(key) for key in _living(keys))
    with _lock:
        _remembered.pop((field, value), None)
        if len(_remembered) >= MOST_REMEMBERED:
            _remembered.clear()
        if callers:
            _remembered[field, value] = (began_at, callers)
    return callers


def _siblings(public_id: str) -> QuerySet[ApiKey]:
    named = ApiKey.objects.filter(public_id=public_id).values("source_id")
    return ApiKey.objects.filter(kind=ApiKey.Kind.HMAC, source_id__in=named).order_by("-pk")


def _living(keys: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
    in_time = Q(valid_until=None) | Q(valid_until__gt=timezone.now())
    inbox = Inbox.objects.filter(merchant=OuterRef("source__merchant")).values("pk")
    living = keys.filter(in_time, revoked_at=None, source__archived_at=None)
    return living.select_related("source").annotate(inbox_id=Subquery(inbox[:1]))


def _caller(key: ApiKey) -> Caller:
    return Caller(
        key_id=key.pk,
        source_id=key.source_id,
        merchant_id=key.source.merchant_id,
        inbox_id=key.inbox_id or Inbox.objects.get_or_create(merchant_id=key.source.merchant_id)[0].pk,
        kind=key.kind,
        scope=key.scope,
        networks=tuple(ip_network(line.strip(), strict=False) for line in key.allowed_addresses.split() if line),
        valid_until=key.valid_until,
        sealed_secret=bytes(key.sealed_secret) if key.sealed_secret else None,
        hmac_header=key.hmac_header,
        hmac_algorithm=key.hmac_algorithm,
        hmac_encoding=key.hmac_encoding,
        hmac_prefix=key.hmac_prefix,
    )


def _is_in_time(caller: Caller) -> bool:
    return caller.valid_until is None or caller.valid_until > timezone.now()


# ── Who is turned away ───────────────────────────────────────────────────────────────────────────────────────────────
def _admitted(request: HttpRequest, caller: Caller) -> Caller:
    if caller.networks and not _is_inside(remote_address(request), caller.networks):
        raise Problem(403, "address_not_allowed", "This key does not allow calls from your IP address.")
    if settings.INGEST_RATE_PER_MINUTE:
        _count(_counted, caller.key_id, settings.INGEST_RATE_PER_MINUTE)
    return caller


def _is_inside(address: str, networks: tuple) -> bool:
    try:
        at = ip_address(address)
    except ValueError:
        return False
    at = getattr(at, "ipv4_mapped", None) or at
    return any(at in network for network in networks)


def _unproven(request: HttpRequest, code: str, detail: str) -> Problem:
    _count_stranger(request)
    return Problem(401, code, detail, WWW_Authenticate="Bearer")


def _count_stranger(request: HttpRequest) -> None:
    """The look-up has been made by now, so that a valid key behind the same address is never turned away."""
    _count(_strangers, remote_address(request), STRANGERS_PER_MINUTE)


def _count(counts: dict, who: object, most: int) -> None:
    now = timezone.now()
    minute = int(now.timestamp()) // 60
    with _lock:
        if len(counts) >= MOST_REMEMBERED:
            counts.clear()
        counts[who, minute] = counts.get((who, minute), 0) + 1
        if counts[who, minute] <= most:
            return
    wait = 60 - now.second
    raise Problem(429, "too_many_requests", "Too many requests in this minute.", Retry_After=str(wait))
