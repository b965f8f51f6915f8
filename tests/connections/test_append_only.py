"""The history in the database itself: added to, never edited, never deleted."""

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, connection, transaction

from connections.append_only import SQLITE
from connections.audit import record
from connections.models import AuditEntry

pytestmark = pytest.mark.django_db


@pytest.fixture
def entry() -> AuditEntry:
    return record(get_user_model().objects.create_user("olga"), "changed", reason="typo")


@pytest.fixture
def _undeletable():
    """On SQLite the suite puts this trigger away to be able to empty its tables."""
    if connection.vendor == "sqlite":
        connection.cursor().execute(SQLITE[1])


@pytest.mark.parametrize(
    "change", [{"reason": "no typo"}, {"action": "x"}, {"changes": {"a": [1, 2]}}, {"actor_name": "eve"}]
)
def test_an_entry_is_never_edited(entry, change):
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        AuditEntry.objects.update(**change)
    entry.refresh_from_db()
    assert entry.reason == "typo"


@pytest.mark.usefixtures("_undeletable")
def test_an_entry_is_never_deleted(entry):
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        AuditEntry.objects.all().delete()
    assert AuditEntry.objects.exists()


def test_a_deleted_account_leaves_its_name(entry):
    get_user_model().objects.all().delete()
    entry.refresh_from_db()
    assert (entry.actor, entry.actor_name) == (None, "olga")
