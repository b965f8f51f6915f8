"""Phone numbers as people type them, made into E.164, or not sent at all.

Translation asks here when it writes a profile; a number that Klaviyo refuses costs a second call, a wrong country code
reaches a stranger.
"""

from functools import lru_cache

from phonenumbers import (
    SUPPORTED_REGIONS,
    NumberParseException,
    PhoneNumberFormat,
    ValidationResult,
    format_number,
    is_possible_number_with_reason,
    parse,
)

from events.countries import alpha2


@lru_cache(maxsize=4096)
def to_e164(raw: str, country: str | None, *, default_country: str = "US") -> str | None:
    """The number as "+15551234567", or None when it is no possible number of its country.

    A leading + ignores the country. Without a country the merchant's own is meant; a country we do not recognise
    completes nothing, so a foreign number never gets a +1. libphonenumber's *possible* is the measure, because numbers
    such as (555) 123-4567 are not *valid* and Klaviyo may still take them; a local number without area code is neither.
    """
    region = alpha2(country) if country and country.strip() else default_country
    try:
        number = parse(raw, region if region in SUPPORTED_REGIONS else None)
    except NumberParseException:
        return None
    if is_possible_number_with_reason(number) != ValidationResult.IS_POSSIBLE:
        return None
    return format_number(number, PhoneNumberFormat.E164)
