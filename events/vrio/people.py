"""Reads who: the customer object and the addresses of a record.

`created_by` and `modified_by` look like customers' e-mail addresses and are Vrio's staff: nothing here reads them.
"""

from dataclasses import replace

from events.countries import alpha2
from events.facts import Address, Person
from events.vrio.values import Record, flag, identity, moment, money, nested, text


def person(record: Record, zone: str) -> Person | None:
    """The customer a record carries, completed by its addresses; None when it carries none."""
    customer = nested(record, "customer") or nested(nested(record, "order"), "customer")
    if not customer:
        return None
    return with_address(customer_of(customer, zone), billing(record) or shipping(record))


def customer_of(customer: Record, zone: str) -> Person:
    """A customer object, wherever it stood."""
    return Person(
        customer_id=identity(customer, "customer_id", "id"),
        email=text(customer, "email").lower(),
        first_name=text(customer, "first_name", "fname"),
        last_name=text(customer, "last_name", "lname"),
        phone=text(customer, "phone"),
        country=alpha2(text(customer, "country")),
        clv=money(customer, "clv", "customer_clv", "lifetime_value", "customer_lifetime_value"),
        active_subscriber=flag(customer, "active_subscriber"),
        created_at=moment(customer, zone, "date_created"),
    )


def with_address(known: Person, home: Address | None) -> Person:
    """The same person, with what an address adds; the customer's own words win."""
    if home is None:
        return known
    return replace(
        known,
        first_name=known.first_name or home.first_name,
        last_name=known.last_name or home.last_name,
        country=known.country or home.country,
        address=home,
    )


def customer_id(record: Record) -> str:
    """Whose record it is, also where only the id is told."""
    order = nested(record, "order")
    return (
        identity(nested(record, "customer"), "customer_id", "id")
        or identity(record, "customer_id")
        or identity(order, "customer_id")
        or identity(nested(order, "customer"), "customer_id", "id")
    )


def billing(record: Record) -> Address | None:
    return address(found(record, "customer_address_billing", "customers_address_billing"))


def shipping(record: Record) -> Address | None:
    return address(found(record, "customer_address_shipping", "customers_address_shipping"))


def found(record: Record, *names: str) -> Record:
    return nested(record, *names) or nested(nested(record, "order"), *names)


def address(record: Record) -> Address | None:
    if not record:
        return None
    read = Address(
        first_name=text(record, "fname", "first_name"),
        last_name=text(record, "lname", "last_name"),
        company=text(record, "organization"),
        address1=text(record, "address1"),
        address2=text(record, "address2"),
        city=text(record, "city"),
        region=text(record, "state"),
        country=alpha2(text(record, "country")),
        zip=text(record, "zipcode", "zip"),
    )
    return None if read == NOWHERE else read


NOWHERE = Address()
