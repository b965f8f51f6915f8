"""Decides which API revision serves a call, and until when that revision lives.

Asked after the key and before the scopes; every answer to a known key names what it decided.
"""

import re

# Stable revisions by date of release. Each is stable for one year, deprecated for another, then retired.
PUBLISHED = (
    "2025-01-15",
    "2025-04-15",
    "2025-07-15",
    "2025-10-15",
    "2026-01-15",
    "2026-04-15",
    "2026-07-15",
    "2026-10-15",
)
NEWEST = PUBLISHED[-1]
PROFILE_META_MOVED = "2026-10-15"
_DATE = re.compile(r"(20\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]))(?:\.pre)?")


class RevisionRefused(Exception):
    """The revision asked for serves nothing; carries the HTTP status and what to say."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def served_revision(asked: str | None, refuses_fall_forward: bool = False) -> str:
    """The published revision that serves this header; a retired one falls forward to the oldest still living.

    Raises RevisionRefused: 400 without a readable or published revision (what Klaviyo does then is not documented),
    410 for a retired one whose caller opted out of falling forward.
    """
    if asked in PUBLISHED:
        return asked
    match = _DATE.fullmatch(asked or "")
    if not match or match[1] > NEWEST:
        raise RevisionRefused(400, f"'{asked}' is not a valid revision." if asked else "A revision header is required.")
    living = [revision for revision in PUBLISHED if revision <= match[1]]
    if not living and refuses_fall_forward:
        raise RevisionRefused(410, f"Revision {match[1]} is retired.")
    return living[-1] if living else PUBLISHED[0]


def retirement_date(revision: str) -> str:
    """Two years after its release, as YYYY-MM-DD."""
    return f"{int(revision[:4]) + 2}{revision[4:]}"
