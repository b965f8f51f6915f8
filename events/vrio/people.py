"""Reads who: the customer object and the addresses of a record.

`created_by` and `modified_by` look like customers' e-mail addresses and are Vrio's staff: nothing here reads them.
"""

from events.countries import alpha2
from events.facts import Address, Person
from events.vrio.values import Record, flag, identity, moment, money, nested, text


def person(record: Record, zone: str) -> Person | None:
    """The customer a record carries, completed by its addresses; None when it carries none."""
    customer = nested(record, "customer") or nested(nested(record, "order"), "customer")
    return customer_of(customer, zone, billing(record) or shipping(record)) if customer else None


def customer_of(customer: Record, zone: str, home: Address | None) -> Person:
    """A customer object, wherever it stood, and what an address adds; the customer's own words win."""
    home_of = home or NOWHERE
    return Person(
        customer_id=identity(customer, "customer_id", "id"),
        email=text(customer, "email").lower(),
        first_name=text(customer, "first_name", "fname") or home_of.first_name,
        last_name=text(customer, "last_name", "lname") or home_of.last_name,
        phone=text(customer, "phone"),
        country=alpha2(text(customer, "country")) or home_of.country,
        address=home,
        clv=money(customer, "clv", "customer_clv", "lifetime_value", "customer_lifetime_value"),
        active_subscriber=flag(customer, "active_subscriber"),
        created_at=moment(customer, zone, "date_created"),
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
