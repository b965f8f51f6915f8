"""The profile that goes along with every message: who it is, and what Klaviyo's segments want to know.

Rendered when a message leaves dispatch, so that a message which waited says what is known by then.
"""

from collections.abc import Container, Mapping

from connections.klaviyo.payloads import EventContent, ProfileContent
from events.facts import Address, Facts, Known, Message, Person
from events.fields import money_text
from events.phones import to_e164

NOBODY = Person()
NONE_REFUSED: frozenset[str] = frozenset()


def profile_of(
    facts: Facts, known: Known, *, country: str = "US", refused_phones: Container[str] = NONE_REFUSED
) -> tuple[ProfileContent, tuple[str, ...]]:
    """The profile and sentences on what was left out of it.

    What the mirror knows wins over what the event says, because the event may be late. `country` is the merchant's own;
    `refused_phones` are numbers (E.164) that Klaviyo refused before.
    """
    person = known.customer or facts.customer or NOBODY
    phone, note = phone_of(person, country, refused_phones)
    return (
        ProfileContent(
            email=person.email,
            first_name=person.first_name,
            last_name=person.last_name,
            phone=phone,
            location=location(person.address),
            properties=properties(person, facts, known, phone),
        ),
        (note,) if note else (),
    )


def event_content(message: Message, *, currency: str) -> EventContent | None:
    """The message in the words of Klaviyo's side; None for a profile alone. `currency` is the merchant's own."""
    if message.metric is None:
        return None
    return EventContent(
        metric=message.metric,
        unique_id=message.unique_id,
        happened_at=message.happened_at,
        properties=message.properties,
        value=message.value,
        currency=message.currency or currency,
    )


def phone_of(person: Person, country: str, refused: Container[str]) -> tuple[str, str]:
    """The number in E.164, or a sentence on why it is left out."""
    if not person.phone:
        return "", ""
    number = to_e164(person.phone, person.country, default_country=country)
    if number is None:
        return "", "The phone number is not a possible one for its country and was left out."
    if number in refused:
        return "", "Klaviyo refused this phone number before, so it was left out."
    return number, ""


def properties(person: Person, facts: Facts, known: Known, phone: str) -> Mapping[str, object]:
    told: dict[str, object] = {}
    clv = person.clv if person.clv is not None else known.clv
    if clv is not None:
        told["CLV"] = money_text(clv)
    if known.next_charge_on is not None:
        told["NextChargeDate"] = known.next_charge_on.isoformat()
    elif known.next_charge_is_cleared:
        told["NextChargeDate"] = None  # cleared, which only profile-import can say
    active = person.active_subscriber if person.active_subscriber is not None else known.active_subscriber
    if active is not None:
        told["ActiveSubscriber"] = active
    if phone:
        told["$phone_number"] = phone
    return {**told, **(known.tracking or facts.order.tracking)}


def location(place: Address | None) -> Mapping[str, str]:
    """With Klaviyo's keys."""
    if place is None:
        return {}
    fields = {
        "address1": place.address1,
        "address2": place.address2,
        "city": place.city,
        "country": place.country,
        "region": place.region,
        "zip": place.zip,
    }
    return {name: words for name, words in fields.items() if words}


def place(keyed: Mapping[str, str]) -> Address | None:
    """The address behind Klaviyo's keys, as the mirror stores it."""
    if not keyed:
        return None
    return Address(
        address1=keyed.get("address1", ""),
        address2=keyed.get("address2", ""),
        city=keyed.get("city", ""),
        country=keyed.get("country", ""),
        region=keyed.get("region", ""),
        zip=keyed.get("zip", ""),
    )
