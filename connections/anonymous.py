"""Takes addresses and phone numbers out of what people type for a record that is never edited.

Beside the corridor. Such a record outlives the erasure of whoever is named in it.
"""

import re

LEFT_OUT = "(left out)"
EMAIL = r"[^\s@<>()\[\],;:\"']+@[^\s@<>()\[\],;:\"']+\.[^\W\d_]{2,}"
PHONE = r"\+\d[\d ().-]{6,}\d|\(?\b\d{3}\)?[ .-]\d{3}[ .-]\d{4}\b"
FOUND = re.compile(f"{EMAIL}|{PHONE}")


def without_people(text: str) -> str:
    """The text with e-mail addresses and written phone numbers left out. Names cannot be told from words."""
    return FOUND.sub(LEFT_OUT, text)
