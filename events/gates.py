"""The reasons not to send that can be told from the event and the person alone.

Dispatch asks these beside the connection's own switches; each answer becomes a row a merchant can read.
"""

import re

from events.facts import Facts, Known, Skipped

EMAIL_CHARACTERS = 100
EMAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+([A-Za-z]{2,63}|xn--[A-Za-z0-9-]{2,59})"
)
DROPPED_DOMAINS = frozenset(("example.com", "example.net", "example.org", "test.com"))
DROPPED_ENDINGS = (".example", ".invalid", ".localhost", ".test")


def email_gate(email: str) -> Skipped | None:
    """Why Klaviyo would not take or not keep this address; None if nothing speaks against it."""
    if not email:
        return Skipped("no_email", "Vrio tells no e-mail address of this customer, and Klaviyo knows people by theirs.")
    if len(email) > EMAIL_CHARACTERS:
        return Skipped("no_email", f"Klaviyo takes e-mail addresses up to {EMAIL_CHARACTERS} characters.")
    if not EMAIL.fullmatch(email):
        return Skipped("no_email", "The customer's e-mail address is not a valid one, so Klaviyo would refuse it.")
    domain = email.rpartition("@")[2].lower()
    if domain in DROPPED_DOMAINS or domain.endswith(DROPPED_ENDINGS):
        return Skipped(
            "dropped_domain", f"Klaviyo accepts events for {domain} and silently drops them: it is a test domain."
        )
    return None


def test_order_gate(facts: Facts, known: Known) -> Skipped | None:
    """A test order goes only through connections that ask for them."""
    is_test = facts.is_test if facts.is_test is not None else known.is_test
    if is_test:
        return Skipped("test_order", "This is a test order, and this connection does not send test orders.")
    return None


def customer_gate(facts: Facts, known: Known) -> Skipped | None:
    """A customer of whom only the number is known has no address to write to."""
    if facts.customer is None and known.customer is None and facts.customer_id:
        return Skipped(
            "customer_unknown", "The event names its customer only by number, and no event has named them yet."
        )
    return None
