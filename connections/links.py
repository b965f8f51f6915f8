"""Addresses of this installation as the world spells them, for mails and for what is pasted elsewhere.

Beside the corridor; everybody who writes a whole address asks here.
"""

from django.conf import settings


def public(path: str) -> str:
    """The whole address of a path that begins with a slash."""
    return f"{settings.PUBLIC_URL}{path}"
