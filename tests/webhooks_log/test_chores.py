"""The agreement between hosts: of many clocks one rings, and not before its time."""

from datetime import UTC, datetime, timedelta

import pytest

from webhooks_log import chores

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)


def test_of_two_clocks_that_look_at_once_one_rings():
    assert chores.ring_due(NOW) == len(chores.CHORES)
    assert chores.ring_due(NOW) == 0


def test_a_chore_comes_again_when_its_period_is_over():
    chores.ring_due(NOW)
    assert chores.ring_due(NOW + max(chore.every for chore in chores.CHORES)) == len(chores.CHORES)
    assert chores.ring_due(NOW + timedelta(seconds=1)) == 0


@pytest.mark.parametrize("chore", chores.CHORES, ids=lambda chore: chore.name)
def test_every_chore_has_an_entrance_that_can_be_called(chore):
    getattr(chores, chore.name)()
