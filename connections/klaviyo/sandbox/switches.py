"""The sandbox's own settings: what Klaviyo does one way or another, and how fast and how much it remembers.

Changed by the control plane, read by the API; kept apart from the application's settings on purpose.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

CHOICES: dict[str, tuple[str, ...]] = {
    "phone_mode": ("reject", "partial"),
    "possible_only": ("taken", "refused"),
    "legacy_phone": ("kept", "judged"),
    "duplicate_profile": ("merge", "conflict"),
    "limits": ("strict", "off"),
    "rate_headers": ("burst", "steady"),
}
PHONE_ENDPOINTS = ("events", "profiles", "bulk")
# Klaviyo answers 202 to events of these and drops them without a word.
DROPPED_DOMAINS = ("example.com", "example.net", "example.org", "test.com")


class SwitchRefused(ValueError):
    """No such switch, or no such value; the message says which."""


@dataclass(slots=True)
class Switches:
    """Every switch with what it is when nobody touched it; milliseconds where the name ends in _ms."""

    phone_mode: str | dict[str, str] = "reject"  # a bad phone: 400 with a pointer, or 2xx and X-Klaviyo-Partial-Failure
    possible_only: str = "taken"  # a number that is possible but not valid, such as +1 555 …
    legacy_phone: str = "kept"  # $phone_number in a profile's properties: stored unjudged, or judged like the attribute
    duplicate_profile: str = "merge"  # profile-import whose e-mail and phone are two profiles': merge, or 409
    limits: str = "strict"
    phase: float | None = None  # where the windows start, in seconds of the monotonic clock; None draws it
    rate_headers: str = "burst"  # which window RateLimit-Remaining and -Reset describe
    latency_ms: float = 0.0  # from judging to answering
    jitter_ms: float = 0.0  # up to so much more, drawn for each call
    arrival_jitter_ms: float = 0.0  # up to so much between sending and judging: moves calls into a later window
    recording_ms: float = 100.0  # until an accepted event can be read back through the API
    store_requests: bool = True
    keep_requests: int = 20_000
    keep_request_bytes: int = 64_000_000
    keep_events: int = 500_000
    keep_event_bytes: int = 128_000_000  # beyond it the oldest events keep their ids and lose their properties
    keep_profiles: int = 200_000
    revoked_keys: list[str] = field(default_factory=list)
    key_scopes: dict[str, list[str]] = field(default_factory=dict)
    dropped_domains: list[str] = field(default_factory=lambda: list(DROPPED_DOMAINS))

    def change(self, changes: dict[str, Any]) -> None:
        """Set all of these or, raising SwitchRefused, none."""
        for name, value in changes.items():
            self._check(name, value)
        for name, value in changes.items():
            setattr(self, name, value)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def phone_mode_of(self, endpoint: str) -> str:
        """`phone_mode` is one word for all endpoints or an object naming some of them; the rest then reject."""
        return self.phone_mode if isinstance(self.phone_mode, str) else self.phone_mode.get(endpoint, "reject")

    def _check(self, name: str, value: Any) -> None:
        if name not in self.__dataclass_fields__:
            raise SwitchRefused(f"There is no setting '{name}'.")
        if name == "phone_mode" and isinstance(value, dict):
            good = set(value) <= set(PHONE_ENDPOINTS) and set(value.values()) <= set(CHOICES[name])
        elif name in CHOICES:
            good = value in CHOICES[name]
        else:
            good = _same_kind(getattr(Switches(), name), value)
        if not good:
            raise SwitchRefused(f"'{value}' is no value for '{name}'.")


def _same_kind(usual: Any, value: Any) -> bool:
    if isinstance(usual, bool) or isinstance(value, bool):
        return isinstance(usual, bool) and isinstance(value, bool)
    if usual is None or isinstance(usual, float):
        return (value is None and usual is None) or (isinstance(value, int | float) and (usual is None or value >= 0))
    return isinstance(value, type(usual)) and (not isinstance(usual, int) or value >= 0)
