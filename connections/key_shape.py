"""Is this a private API key of Klaviyo's at all? Recognises what people paste instead, before any call is made.

Between the connection form and the sealing of the key. Pure: looks at the text and nothing else.
"""

import re

PUBLIC_KEY = re.compile(r"[A-Za-z0-9]{6}")
PRIVATE_KEY = re.compile(r"pk_[A-Za-z0-9_]{16,}")  # the length is not promised, so the pattern is loose

_QUOTES = "\"'`“”‘’«»„"
_GET_ONE = "In Klaviyo: Account → Settings → API keys → Create Private API Key."


def problem_with_private_key(text: str) -> str | None:
    """What is wrong with it and what to do, in one or two sentences; None if it looks like a private key.

    `text` has been trimmed at both ends. The text itself never appears in the answer.
    """
    if re.match(r"(authorization\s*:\s*)?klaviyo-api-key\b", text, re.IGNORECASE):
        return "“Klaviyo-API-Key” was copied along. Enter only what follows it, starting with pk_."
    if any(quote in text for quote in _QUOTES):
        return "The key is in quotes. Enter it without them, starting with pk_."
    if re.search(r"\s", text):
        return "There is a space or line break inside the key. Copy it again in one piece."
    if not text.isascii() or not text.isprintable():
        return "The key contains characters that no Klaviyo key has. Copy it again from Klaviyo."
    return _problem_with_its_form(text)


def problem_with_public_key(text: str) -> str | None:
    """What is wrong with a public key, or None. It is optional, so nothing is asked of an empty one."""
    if not text or PUBLIC_KEY.fullmatch(text):
        return None
    if text.startswith("pk_"):
        return "This is a private key; it belongs in the field above. The public key has six letters and digits."
    return "A public key (site ID) has exactly six letters and digits. Leave this empty if you do not need it."


def _problem_with_its_form(text: str) -> str | None:
    if PUBLIC_KEY.fullmatch(text):
        return f"This is the public key (site ID). The private key is longer and starts with pk_. {_GET_ONE}"
    if text.casefold().startswith("pk_") and not text.startswith("pk_"):
        return "A private key starts with pk_ in small letters. Copy it again from Klaviyo."
    if not text.startswith("pk_"):
        return f"A private key starts with pk_; this is something else. {_GET_ONE}"
    if not PRIVATE_KEY.fullmatch(text):
        return "This is only a part of a private key, or has other characters in it. Copy it again in one piece."
    return None
