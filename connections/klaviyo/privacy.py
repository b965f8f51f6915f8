"""The one call that asks Klaviyo to forget a person: its path, its body, and how often an account may make it.

Beside the lanes, since nothing of a shop's events goes this way. Klaviyo answers 202 at once and deletes later.
"""

import json
from datetime import timedelta

DELETION_PATH = "/api/data-privacy-deletion-jobs"
PER_SECOND, PER_MINUTE = 2, 58  # of 3 and 60
WINDOWS = ((timedelta(seconds=1), PER_SECOND), (timedelta(minutes=1), PER_MINUTE))


def deletion(email: str) -> bytes:
    """The body that names one person by e-mail, which is exactly one identifier, as Klaviyo demands."""
    profile = {"data": {"type": "profile", "attributes": {"email": email}}}
    job = {"type": "data-privacy-deletion-job", "attributes": {"profile": profile}}
    return json.dumps({"data": job}, separators=(",", ":"), ensure_ascii=False).encode()
