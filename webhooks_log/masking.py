"""Personal data made unreadable: e-mail addresses, phone numbers, names, addresses, in fields and in free text.

Between the tables and the eyes of those who may not see whom a message is about.
"""

import re
from typing import Any

DOT = "•"
PERSONAL_KEYS = re.compile(
    r"e-?mail|phone|first_?name|last_?name|\bfname|\blname|full_?name|address|city|zip|postal|street|latitude|longitude"
    r"|^(ship|bill)_|ip_address|^ip$|card|birth|external_id",
    re.IGNORECASE,
)
PERSONAL_BRANCHES = re.compile(r"address|location|customer_card", re.IGNORECASE)
EMAIL = re.compile(r"[^\s@\"'<>(),;:]+@[^\s@\"'<>(),;:]+\.[A-Za-z0-9-]+")
PHONE = re.compile(r"\+?\d[\d\s().-]{6,}\d")


def mask_email(email: str) -> str:
    """sarah.mason@klaviyo-demo.com → s•••@k•••.com; empty stays empty."""
    name, _, domain = email.partition("@")
    if not domain:
        return mask_text(email)
    return f"{name[:1]}{DOT * 3}@{domain[:1]}{DOT * 3}.{domain.rpartition('.')[2]}"


def mask_phone(phone: str) -> str:
    """+15551234567 → +1•••67; what is shorter than six characters vanishes whole."""
    return f"{phone[:2]}{DOT * 3}{phone[-2:]}" if len(phone) >= 6 else DOT * 3 * bool(phone)


def mask_text(text: str) -> str:
    """A word with its first letter left; empty stays empty."""
    return f"{text[:1]}{DOT * 3}" if text else ""


def mask_sentence(text: str) -> str:
    """Free text, such as an answer's detail, with every e-mail address and phone number in it masked."""
    return PHONE.sub(lambda found: mask_phone(found[0]), EMAIL.sub(lambda found: mask_email(found[0]), text))


def mask_value(key: str, value: str, branch_is_personal: bool = False) -> str:
    """The text of one JSON value under its key, masked if the key, its branch or its look is personal."""
    if EMAIL.fullmatch(value):
        return mask_email(value)
    if branch_is_personal or PERSONAL_KEYS.search(key):
        return mask_phone(value) if "phone" in key.lower() else mask_text(value)
    return mask_sentence(value)


def mask_number(key: str, value: str, branch_is_personal: bool = False) -> str:
    """The same for a number: most are amounts and ids, which look like phone numbers and are none."""
    return mask_value(key, value, True) if branch_is_personal or PERSONAL_KEYS.search(key) else value


def is_personal_branch(key: str) -> bool:
    return bool(PERSONAL_BRANCHES.search(key))


def mask_name(*names: Any) -> str:
    return " ".join(mask_text(name) for name in names if name)
