"""Says which account a private key belongs to and what it may do.

The first thing the sandbox asks about a call, before limits and contents.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

READ_AND_WRITE = frozenset(
    f"{family}:{right}" for family in ("events", "lists", "profiles") for right in ("read", "write")
)
EVERYTHING = READ_AND_WRITE | {"accounts:read", "metrics:read", "data-privacy:write"}

DEMO_ACCOUNT = "DemoA1"
OTHER_ACCOUNT = "DemoB2"

FULL_KEY = "pk_SandboxFullAccess0000000000000001A"
SECOND_FULL_KEY = "pk_SandboxFullAccess0000000000000002A"
OTHER_ACCOUNT_KEY = "pk_SandboxFullAccess0000000000000001B"
DOCUMENTED_SCOPES_KEY = "pk_SandboxEventsListsProfiles0000001A"
NO_EVENTS_KEY = "pk_SandboxNoEventsScope0000000000001A"
REVOKED_KEY = "pk_SandboxRevoked0000000000000000001A"
PROFILES_ONLY_KEY = "pk_SandboxProfilesOnly000000000000001"

# pk_sandbox_<cid>_<kind>…: any number of further accounts, made by naming them.
KINDS = {
    "full": EVERYTHING,
    "documented": READ_AND_WRITE,
    "noevents": EVERYTHING - {"events:read", "events:write"},
    "profilesonly": frozenset({"profiles:read", "profiles:write"}),
    "readonly": frozenset(scope for scope in EVERYTHING if scope.endswith(":read")),
    "revoked": frozenset[str](),
}
MADE_KEY = re.compile(r"pk_sandbox_([A-Za-z0-9]{6})_(" + "|".join(KINDS) + r")[A-Za-z0-9_]*")
SCHEME = "Klaviyo-API-Key "


@dataclass(frozen=True, slots=True)
class Key:
    """A private key the sandbox knows: its account's public key (Cid), its scopes, and whether it was revoked."""

    account: str
    scopes: frozenset[str]
    is_revoked: bool = False


DEMO_KEYS = {
    FULL_KEY: Key(DEMO_ACCOUNT, EVERYTHING),
    SECOND_FULL_KEY: Key(DEMO_ACCOUNT, EVERYTHING),
    OTHER_ACCOUNT_KEY: Key(OTHER_ACCOUNT, EVERYTHING),
    DOCUMENTED_SCOPES_KEY: Key(DEMO_ACCOUNT, READ_AND_WRITE),
    NO_EVENTS_KEY: Key(DEMO_ACCOUNT, KINDS["noevents"]),
    REVOKED_KEY: Key(DEMO_ACCOUNT, EVERYTHING, is_revoked=True),
    PROFILES_ONLY_KEY: Key(DEMO_ACCOUNT, KINDS["profilesonly"]),
}


def key_for(account: str, kind: str = "full") -> str:
    """A key of that account (six letters or digits) and kind; the account needs no other preparation."""
    return f"pk_sandbox_{account}_{kind}"


def known_key(text: str, revoked: Sequence[str] = (), scopes: Mapping[str, Sequence[str]] | None = None) -> Key | None:
    """The key behind this text, or None; `revoked` and `scopes` are what the control plane changed since."""
    key = DEMO_KEYS.get(text) or _made_key(text)
    if key is None or not (revoked or scopes):
        return key
    changed = frozenset((scopes or {}).get(text, key.scopes))
    return Key(key.account, changed, key.is_revoked or text in revoked)


def _made_key(text: str) -> Key | None:
    match = MADE_KEY.fullmatch(text)
    return match and Key(match[1], KINDS[match[2]], is_revoked=match[2] == "revoked")
