"""The demo shop's shelf and its shoppers.

All their addresses end in @klaviyo-demo.com, because Klaviyo silently drops example.com.
"""

from dataclasses import dataclass
from decimal import Decimal
from random import Random

DOMAIN = "klaviyo-demo.com"


@dataclass(frozen=True, slots=True)
class Article:
    """Something on the shelf: an offer of Vrio and the one item in it."""

    offer_id: str
    offer_name: str
    item_id: str
    item_name: str
    sku: str
    category: str
    price: Decimal
    interval: str = ""  # Vrio's name of it; empty is bought once


@dataclass(frozen=True, slots=True)
class Shopper:
    """A customer as Vrio knows them; the phone as they typed it."""

    customer_id: str
    first_name: str
    last_name: str
    email: str
    phone: str
    address: tuple[str, str, str, str, str]  # street, city, state, zip, country

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"


# fmt: off
SUBSCRIPTIONS = (
    Article("1", "Monthly Vitamins", "2",  "Vitamin D3",       "VIT-D3",  "Supplements", Decimal("29.99"), "Monthly"),
    Article("3", "Calm Evenings",    "7",  "Magnesium",        "MAG-60",  "Supplements", Decimal("41.50"), "30 Days"),
    Article("4", "Weekly Greens",    "9",  "Greens Powder",    "GRN-07",  "Nutrition",   Decimal("18.00"), "Weekly"),
    Article("5", "Omega Quarterly",  "12", "Omega 3 Capsules", "OMG-180", "Supplements", Decimal("64.00"), "Quarterly"),
)
ONCE = (
    Article("20", "Shaker Bottle",   "31", "Shaker 700 ml",    "SHK-700", "Accessories", Decimal("14.90")),
    Article("21", "Protein Sampler", "33", "Protein, 5 bags",  "PRO-S5",  "Nutrition",   Decimal("22.50")),
    Article("22", "Vitamin C Once",  "35", "Vitamin C 1000",   "VIT-C1K", "Supplements", Decimal("17.25")),
    Article("23", "Gift Box",        "38", "Harbor Gift Box",  "BOX-01",  "Gifts",       Decimal("79.00")),
)
HOMES = (
    ("12 Harbor Street",     "Portland",   "ME",  "04101",   "US"),
    ("480 Mission Road",     "San Diego",  "CA",  "92103",   "US"),
    ("77 Lakeshore Avenue",  "Chicago",    "IL",  "60611",   "US"),
    ("9 Live Oak Lane",      "Austin",     "TX",  "78704",   "US"),
    ("210 Rue Saint-Paul",   "Montreal",   "QC",  "H2Y 1Z5", "CA"),
    ("31 Lonsdale Avenue",   "Vancouver",  "BC",  "V7M 2E5", "CA"),
    ("5 Albion Terrace",     "London",     "",    "E8 4ER",  "GB"),
)
# fmt: on
PHONES = {
    "US": ("(207) 774-{:04d}", "619.295.{:04d}", "+1 312 787 {:04d}", "1-512-474-{:04d}"),
    "CA": ("514 845 {:04d}", "+1 (604) 986-{:04d}"),
    "GB": ("+44 20 7946 {:04d}",),
}
FIRST = (
    "Ada",
    "Ben",
    "Clara",
    "Dario",
    "Elena",
    "Femi",
    "Grace",
    "Hugo",
    "Ines",
    "Jonas",
    "Keiko",
    "Liam",
    "Maya",
    "Noor",
)
LAST = (
    "Abbott",
    "Brandt",
    "Castillo",
    "Dubois",
    "Eriksen",
    "Fontaine",
    "Garcia",
    "Haddad",
    "Ito",
    "Jensen",
    "Kowalski",
)


def shopper(number: int, first_id: int) -> Shopper:
    """The same person for the same number, whoever asks."""
    chance = Random(f"shopper {number}")
    first, last = FIRST[number % len(FIRST)], LAST[(number * 5 + number // len(LAST)) % len(LAST)]
    home = chance.choice(HOMES)
    phone = chance.choice(PHONES[home[4]]).format(1000 + number)
    return Shopper(str(first_id + number), first, last, f"{first}.{last}{number}@{DOMAIN}".lower(), phone, home)
