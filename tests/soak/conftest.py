"""The places of the fault suite, here too."""

from tests.webhooks_log.conftest import one_place, place, postgres_place, private_place

__all__ = ("one_place", "place", "postgres_place", "private_place")
