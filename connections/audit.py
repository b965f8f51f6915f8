"""Who changed what, when and why: one entry per change, written by every floor, edited by none.

Beside the corridor: history pages read it. Values are recorded, keys never.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Model

from connections.anonymous import without_people
from connections.models import AuditEntry, Merchant
from connections.tenancy import merchant_of

Changes = Mapping[str, tuple[Any, Any]]


def record(
    actor: AbstractBaseUser | AnonymousUser | None,
    action: str,
    obj: Model | None = None,
    changes: Changes | None = None,
    reason: str = "",
    merchant: Merchant | None = None,
) -> AuditEntry:
    """Write one entry. `action` is a short past tense ("key replaced"), `changes` {field: (before, after)}.

    Without an actor the entry is Viaduct's own doing. The merchant is the object's unless it is named. A reason is kept
    without e-mail addresses and phone numbers.
    """
    known = actor is not None and actor.pk is not None
    return AuditEntry.objects.create(
        merchant=merchant or (merchant_of(obj) if obj is not None else None),
        actor=actor if known else None,
        actor_name=actor.get_username() if known else "Viaduct",
        action=action,
        object_type=obj._meta.model_name if obj is not None else "",
        object_id=str(obj.pk) if obj is not None else "",
        object_name=name_of(obj),
        changes={field: [_plain(before), _plain(after)] for field, (before, after) in (changes or {}).items()},
        reason=without_people(reason),
    )


def name_of(obj: Model | None) -> str:
    """What the history calls an object: entries are never edited, so a person's own name is not for them."""
    return str(getattr(obj, "name_in_history", obj) if obj is not None else "")[:200]


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The fields in which two states differ, as `record` takes them."""
    return {field: (before.get(field), value) for field, value in after.items() if before.get(field) != value}


def history(obj: Model) -> Iterable[AuditEntry]:
    """The entries about one object, newest first."""
    return AuditEntry.objects.filter(object_type=obj._meta.model_name, object_id=str(obj.pk)).order_by("-at", "-id")


def _plain(value: Any) -> Any:
    """The value as JSON can keep it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    return str(value)
