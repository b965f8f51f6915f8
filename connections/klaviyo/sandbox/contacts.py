"""Judges the e-mail address and the phone number of a profile, and whether it names anybody at all.

Asked for every profile in a document once its shape is right. Knows nothing of how our client formats either.
"""

import re
from functools import lru_cache
from typing import Any

import phonenumbers
from phonenumbers import ValidationResult

from .answers import Problem
from .shapes import Notes, note
from .switches import Switches

LONGEST_EMAIL = 100
PHONE_DETAIL = "Invalid phone number format (Example of a valid format: +12345678901)"
IDENTIFIERS = ("id", "email", "phone_number", "external_id", "anonymous_id", "_kx")
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}")
_E164 = re.compile(r"\+[1-9]\d{6,14}")


def judge_profile(profile: dict[str, Any], pointer: str, notes: Notes, switches: Switches, endpoint: str) -> bool:
    """Note what is wrong with a profile resource. True: its bad phone is ignored, and was taken out of `profile`.

    `pointer` leads to the resource's attributes; `endpoint` is events, profiles or bulk, whose phone mode may differ.
    """
    attributes = profile["attributes"]
    given = {name for name in IDENTIFIERS if attributes.get(name)} | ({"id"} if profile.get("id") else set())
    if not given:
        note(notes, "One or more identifiers is required", pointer)
    email = attributes.get("email")
    if email is not None and not is_good_email(email):
        note(notes, "Invalid email address", f"{pointer}/email")
    bad = _bad_phones(attributes, pointer, switches)
    if bad and switches.phone_mode_of(endpoint) == "partial" and given - {"phone_number"}:
        attributes.pop("phone_number", None)
        return True
    notes += bad
    return False


def is_good_email(email: str) -> bool:
    if len(email) > LONGEST_EMAIL or ".." in email or email.startswith(".") or ".@" in email:
        return False
    return bool(_EMAIL.fullmatch(email))


@lru_cache(maxsize=50_000)
def is_good_phone(phone: str, takes_possible: bool) -> bool:
    """E.164 and a number that exists for libphonenumber, or could exist if `takes_possible` (never a local one)."""
    if not _E164.fullmatch(phone):
        return False
    try:
        parsed = phonenumbers.parse(phone, None)
    except phonenumbers.NumberParseException:
        return False
    if takes_possible:
        return phonenumbers.is_possible_number_with_reason(parsed) == ValidationResult.IS_POSSIBLE
    return phonenumbers.is_valid_number(parsed)


def _bad_phones(attributes: dict[str, Any], pointer: str, switches: Switches) -> list[Problem]:
    spelled = [(attributes.get("phone_number"), f"{pointer}/phone_number")]
    if switches.legacy_phone == "judged":
        legacy = (attributes.get("properties") or {}).get("$phone_number")
        spelled.append((legacy, f"{pointer}/properties/$phone_number"))
    takes_possible = switches.possible_only == "taken"
    return [
        Problem(PHONE_DETAIL, where)
        for phone, where in spelled
        if phone is not None and not is_good_phone(str(phone), takes_possible)
    ]
