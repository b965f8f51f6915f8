"""Seals every stored secret anew, so that an old entry of FIELD_KEYS may go.

Beside the corridor; lanes go on sending meanwhile, because both keys open until the old one is taken away.
"""

from django.db import models

from connections import secrets
from connections.models import ApiKey, Connection

SEALED: tuple[tuple[type[models.Model], str], ...] = ((Connection, "sealed_key"), (ApiKey, "sealed_secret"))


def rotate() -> tuple[int, list[str]]:
    """(how many are sealed under the newest key, the names of those that nothing opens)."""
    done, lost = 0, []
    for model, column in SEALED:
        for pk, sealed in model.objects.exclude(**{column: None}).values_list("pk", column).iterator():
            if _reseal(model, column, pk, bytes(sealed)):
                done += 1
            else:
                lost.append(f"{model._meta.verbose_name} {pk}")
    return done, lost


def _reseal(model: type[models.Model], column: str, pk: int, sealed: bytes) -> bool:
    try:
        fresh = secrets.reseal(sealed)
    except secrets.KeyLost:
        return False
    # Only what was read is replaced: a key entered in this moment is newer than ours.
    model.objects.filter(pk=pk, **{column: sealed}).update(**{column: fresh})
    return True
