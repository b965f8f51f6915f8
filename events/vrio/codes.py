"""Vrio's code tables: the REST API writes the number, webhooks write the label, both mean the same.

From Vrio's own API definition. What is in no table reads as None, and the reader decides what that means.
"""

from enum import StrEnum
from typing import TypeVar

from events.facts import Status, TransactionType

Word = TypeVar("Word", bound=StrEnum)

TRANSACTION_TYPES = {
    "1": TransactionType.SALE,
    "2": TransactionType.REFUND,
    "3": TransactionType.VOID,
    "4": TransactionType.CHARGEBACK,
    "5": TransactionType.ALERT,
    "6": TransactionType.AUTH,
    "7": TransactionType.CAPTURE,
    "8": TransactionType.COD,
    "9": TransactionType.CHARGEBACK_REVERSAL,
    "10": TransactionType.RETURNED_CHECK,
    "authorization": TransactionType.AUTH,
    **{kind.value.lower(): kind for kind in TransactionType},
}
STATUSES = {
    "1": Status.ACTIVE,
    "2": Status.CANCELLED,
    "3": Status.COMPLETE,
    "4": Status.PARTIAL,
    "5": Status.DECLINED,
    "6": Status.ARCHIVE,
    "7": Status.REJECTED,
    "8": Status.REMOVED,
    "9": Status.PAUSED,
    "10": Status.EXPIRED,
    "canceled": Status.CANCELLED,
    **{status.value.lower(): status for status in Status},
}
CARRIERS = {
    "1": "USPS",
    "2": "UPS",
    "3": "FedEx",
    "4": "DHL eCommerce",
    "5": "UPS Mail Innovations",
    "6": "Canada Post",
    "8": "Australia Post",
    "9": "Hermes",
}
CURRENCIES = {
    "1": "USD",
    "2": "EUR",
    "3": "GBP",
    "4": "CAD",
    "5": "AUD",
    "6": "NZD",
    "7": "DKK",
    "8": "SEK",
    "9": "NOK",
}
SHIPPED_STATUSES = frozenset(("4", "shipped", "6", "delivered"))


def word_for(table: dict[str, Word], code: str) -> Word | None:
    """The word behind a number or a label, however it is written; None when the table has neither."""
    return table.get(code) or table.get(" ".join(code.replace("_", " ").lower().split()))


def currency(code: str) -> str:
    """ISO 4217 from Vrio's number or from the code itself; empty when it is neither."""
    return CURRENCIES.get(code) or (code.upper() if len(code) == 3 and code.isalpha() else "")


def carrier(code: str) -> str:
    """The carrier's name from Vrio's number; a label stays what it is, an unknown number names nobody."""
    return CARRIERS.get(code) or ("" if code.isdigit() else code)
