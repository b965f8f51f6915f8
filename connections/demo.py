"""The demo shop that `make run` sets up: a merchant with a connection to the sandbox, three people, an outlet shop.

Beside the corridor. The outlet is a second merchant with an account of its own, so that the demo day can act out
refusals and outages in a lane that nobody's first order shares.
"""

from dataclasses import dataclass
from itertools import starmap
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone

from connections.forms import KEY_PURPOSE
from connections.klaviyo.sandbox.accounts import DEMO_ACCOUNT, FULL_KEY, OTHER_ACCOUNT, OTHER_ACCOUNT_KEY
from connections.models import ApiKey, Campaign, Connection, KlaviyoAccount, Membership, Merchant, Source
from connections.secrets import KeyLost, fingerprint, hint, seal, unseal

SHOP, OUTLET = "harbor-vitamins", "harbor-outlet"
SHOP_CAMPAIGNS = {"1": "Web shop", "2": "Phone orders"}
OUTLET_CAMPAIGNS = {"21": "Outlet", "22": "Wholesale"}
OUTLET_SENDS = ("21",)  # Wholesale is the campaign that the outlet's filter excludes


@dataclass(frozen=True, slots=True)
class Login:
    """A person of the demo: `may` says in words what for."""

    username: str
    password: str
    may: str


@transaction.atomic
def set_up() -> None:
    """Create what is missing of the demo; what is there, also what somebody changed, stays.

    Raises ImproperlyConfigured where `.env` lacks one of the demo's secrets.
    """
    people = {login.username: person(login) for login in logins()}
    shop = merchant(SHOP, "Harbor Vitamins", SHOP_CAMPAIGNS)
    outlet = merchant(OUTLET, "Harbor Outlet", OUTLET_CAMPAIGNS)
    place(people["merchant"], shop, Membership.Role.OWNER)
    for each in (shop, outlet):
        place(people["support"], each, Membership.Role.SUPPORT)
    source(shop, api_key())
    source(outlet, outlet_api_key())
    connection(shop, "Klaviyo", FULL_KEY, DEMO_ACCOUNT)
    filtered = connection(outlet, "Klaviyo Outlet", OTHER_ACCOUNT_KEY, OTHER_ACCOUNT)
    if filtered is not None:
        filtered.campaigns.set(outlet.campaigns.filter(vrio_id__in=OUTLET_SENDS))


def logins() -> tuple[Login, ...]:
    """The three people of the demo, with the passwords that `.env` keeps."""
    return tuple(
        starmap(
            Login,
            (
                ("merchant", needed("DEMO_MERCHANT_PASSWORD"), "owner of Harbor Vitamins"),
                ("support", needed("DEMO_SUPPORT_PASSWORD"), "support at both demo shops"),
                ("superuser", needed("DEMO_SUPERUSER_PASSWORD"), "everything, everywhere"),
            ),
        )
    )


def api_key() -> str:
    """The key with which Harbor Vitamins' Vrio posts."""
    return needed("DEMO_API_KEY")


def outlet_api_key() -> str:
    """The key with which the outlet's Vrio posts."""
    return needed("DEMO_OUTLET_API_KEY")


def web_url() -> str:
    """Where `make run` has the web process on this machine."""
    return f"http://127.0.0.1:{settings.PORT}"


def sandbox_url() -> str:
    """Where `make run` has the Klaviyo sandbox on this machine."""
    return f"http://127.0.0.1:{settings.SANDBOX_PORT}"


def needed(name: str) -> str:
    """The setting's value; ImproperlyConfigured where it has none."""
    value: str = getattr(settings, name)
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. `make run` writes it into .env.")
    return value


def person(login: Login) -> Any:
    boss = login.username == "superuser"
    user, _ = get_user_model().objects.get_or_create(
        username=login.username,
        defaults={"email": f"{login.username}@klaviyo-demo.com", "is_staff": boss, "is_superuser": boss},
    )
    if not user.check_password(login.password):
        user.set_password(login.password)
        user.save(update_fields=["password"])
    return user


def merchant(slug: str, name: str, campaigns: dict[str, str]) -> Merchant:
    found, _ = Merchant.objects.get_or_create(slug=slug, defaults={"name": name})
    for vrio_id, title in campaigns.items():
        Campaign.objects.get_or_create(merchant=found, vrio_id=vrio_id, defaults={"name": title})
    return found


def place(user: Any, at: Merchant, role: str) -> None:
    Membership.objects.get_or_create(user=user, merchant=at, defaults={"role": role})


def source(owner: Merchant, key: str) -> None:
    """The merchant's Vrio, proven by this key; a key of an earlier `.env` is revoked."""
    sends = {"dialect": Source.Dialect.V2}  # v1 can send no key
    vrio, _ = Source.objects.update_or_create(merchant=owner, name="Vrio", defaults=sends)
    digest = fingerprint(key, "bearer")
    vrio.keys.filter(name="Demo key", revoked_at=None).exclude(digest=digest).update(revoked_at=timezone.now())
    ApiKey.objects.get_or_create(
        digest=digest,
        defaults={"source": vrio, "kind": "bearer", "name": "Demo key", "hint": hint(key), "scope": "read"},
    )


def connection(owner: Merchant, name: str, key: str, cid: str) -> Connection | None:
    """The connection if it was made just now; None if it was there, then only an unreadable key is sealed again."""
    found = owner.connections.filter(name=name).first()
    if found is not None:
        mend_key(found, key)
        return None
    account, _ = KlaviyoAccount.objects.get_or_create(cid=cid, defaults={"name": f"{owner.name} (sandbox)"})
    return Connection.objects.create(
        merchant=owner,
        account=account,
        name=name,
        sealed_key=seal(key),
        key_hint=hint(key),
        key_fingerprint=fingerprint(key, KEY_PURPOSE),
        state=Connection.State.CONNECTED,
        checked_at=timezone.now(),
    )


def mend_key(known: Connection, key: str) -> None:
    """A new `.env` beside an old database cannot open the old seal."""
    try:
        unseal(bytes(known.sealed_key or b""))
    except KeyLost:
        Connection.objects.filter(pk=known.pk).update(
            sealed_key=seal(key), key_fingerprint=fingerprint(key, KEY_PURPOSE)
        )
