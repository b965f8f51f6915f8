"""What can be connected: a registry of providers by category, which the catalogue shows.

Before the corridor's two ends: *Sources* bring events in, *Marketing* is where they go.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, slots=True)
class Provider:
    """One card of the catalogue. `connect_to` names the page that connects it."""

    slug: str
    name: str
    category: str
    sentence: str
    symbol: str
    connect_to: str
    words: tuple[str, ...] = ()  # what a search may also call it


PROVIDERS = (
    Provider(
        slug="klaviyo",
        name="Klaviyo",
        category="Marketing",
        sentence="Customer profiles and order, subscription and shipment events, for e-mail and SMS marketing.",
        symbol="campaign",
        connect_to="admin:connection_add",
        words=("email", "e-mail", "sms", "newsletter", "flows"),
    ),
    Provider(
        slug="vrio",
        name="Receive from Vrio",
        category="Sources",
        sentence="The address and the keys with which Vrio tells Viaduct what happens in the shop.",
        symbol="input",
        connect_to="admin:receive",
        words=("webhook", "source", "api key", "address"),
    ),
)


def providers_matching(words: str) -> list[Provider]:
    """The providers whose card, category or other names contain the searched words; all for an empty search."""
    wanted = words.casefold().split()
    return [provider for provider in PROVIDERS if all(word in _searchable(provider) for word in wanted)]


def by_category(providers: list[Provider]) -> Iterator[tuple[str, list[Provider]]]:
    """(category, its providers), categories and providers by name."""
    ordered = sorted(providers, key=lambda provider: (provider.category, provider.name))
    for category, members in groupby(ordered, key=lambda provider: provider.category):
        yield category, list(members)


def _searchable(provider: Provider) -> str:
    return " ".join((provider.name, provider.category, provider.sentence, *provider.words)).casefold()
