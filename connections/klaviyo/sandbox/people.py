"""The profiles of one account: who is who by which identifier, and what is known of them.

Part of the store; knows identifiers and merging, nothing of HTTP.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

IDENTIFYING = ("email", "phone_number", "external_id", "anonymous_id")
_ULID = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(slots=True)
class Profile:
    """One person: id (26 characters), attributes as Klaviyo would show them, moments in UTC."""

    id: str
    created_at: datetime
    updated_at: datetime
    attributes: dict[str, Any] = field(default_factory=dict)
    last_event_at: datetime | None = None

    def learn(self, sent: dict[str, Any], patch: dict[str, Any], at: datetime) -> None:
        """A sent key overwrites, null clears, a key not sent stays; properties and location likewise, key by key."""
        for name, value in sent.items():
            if name == "meta":
                continue
            if name in ("properties", "location") and isinstance(value, dict):
                value = _overlaid(self.attributes.get(name) or {}, value, keeps_null=name == "properties")
            elif name == "email" and value:
                value = value.strip().lower()
            self.attributes[name] = value
        self._patch(patch)
        self.updated_at = at

    def _patch(self, patch: dict[str, Any]) -> None:
        properties = self.attributes.setdefault("properties", {})
        for name, value in (patch.get("append") or {}).items():
            properties[name] = [*_listed(properties.get(name)), *_listed(value)]
        for name, value in (patch.get("unappend") or {}).items():
            properties[name] = [kept for kept in _listed(properties.get(name)) if kept not in _listed(value)]
        for name in _listed(patch.get("unset")):
            properties.pop(name, None)


@dataclass(slots=True)
class People:
    """An account's profiles by id, oldest first, and an index of each identifier."""

    by_id: dict[str, Profile] = field(default_factory=dict)
    _index: dict[tuple[str, str], Profile] = field(default_factory=dict)

    def find(self, profile: dict[str, Any]) -> Profile | None:
        """Whoever this profile resource means: by id, else e-mail, else another identifier.

        Somebody with another e-mail is somebody else, whatever phone number or external_id they share.
        """
        if found := self.by_id.get(profile.get("id") or ""):
            return found
        attributes = profile["attributes"]
        candidates = (self._index.get(key) for key in _keys(attributes))
        return next((found for found in candidates if found and _may_be(found, attributes)), None)

    def find_other(self, profile: dict[str, Any]) -> Profile | None:
        """Somebody else who already has the phone number of whoever this profile resource means."""
        first, phone = self.find(profile), profile["attributes"].get("phone_number")
        other = self._index.get(("phone_number", phone)) if phone else None
        return other if other is not first else None

    def find_or_create(self, profile: dict[str, Any], at: datetime) -> tuple[Profile, bool]:
        """That person and whether they are new; known by the identifiers of this resource from now on."""
        found = self.find(profile)
        person = found or Profile(profile.get("id") or _ulid(), at, at)
        self.by_id[person.id] = person
        for key in _keys(profile["attributes"]):
            self._index[key] = person
        return person, found is None

    def with_value(self, name: str, value: str) -> list[Profile]:
        """Everyone of whom this attribute, or id, has this value."""
        if name == "id":
            return [self.by_id[value]] if value in self.by_id else []
        found = self._index.get((name, value.strip().lower() if name == "email" else value))
        # The index keeps former addresses, as identities stay linked; a filter asks for the present one.
        return [found] if found and found.attributes.get(name, value).lower() == value.strip().lower() else []

    def forget(self, person: Profile) -> None:
        self.by_id.pop(person.id, None)
        self._index = {key: kept for key, kept in self._index.items() if kept is not person}

    def forget_oldest(self) -> None:
        person = self.by_id.pop(next(iter(self.by_id)))
        for key in _keys(person.attributes):
            self._index.pop(key, None)


def new_id(alphabet: str, length: int, draw: Callable[[int], int] = random.getrandbits) -> str:
    """A random id of so many characters."""
    number, base, characters = draw(length * 6), len(alphabet), []
    for _ in range(length):
        number, place = divmod(number, base)
        characters.append(alphabet[place])
    return "".join(characters)


def iso(at: datetime | None) -> str | None:
    """A moment as Klaviyo writes it: whole seconds, +00:00."""
    return at.astimezone(UTC).isoformat(timespec="seconds") if at else None


def _ulid() -> str:
    return "01" + new_id(_ULID, 24)


def _may_be(person: Profile, attributes: dict[str, Any]) -> bool:
    asked, known = attributes.get("email"), person.attributes.get("email")
    return not asked or not known or asked.strip().lower() == known


def _keys(attributes: dict[str, Any]) -> list[tuple[str, str]]:
    values = ((name, attributes.get(name)) for name in IDENTIFYING)
    return [(name, value.strip().lower() if name == "email" else value) for name, value in values if value]


def _overlaid(known: dict[str, Any], sent: dict[str, Any], keeps_null: bool) -> dict[str, Any]:
    whole = known | sent
    return whole if keeps_null else {name: value for name, value in whole.items() if value is not None}


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
