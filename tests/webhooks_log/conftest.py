"""Places where real workers can run: the suite's own SQLite file, and a private PostgreSQL with a private Redis."""

from collections.abc import Iterator

import pytest
from django.conf import settings as active

from tests.servers import Postgres, RedisServer
from tests.webhooks_log.ears import channel, mailbox
from tests.webhooks_log.hosts import Place, connected, migrated, own_place

__all__ = ["channel", "mailbox"]

PLACES = ("sqlite", "postgres") if active.IS_SQLITE else ("postgres",)


@pytest.fixture(scope="session")
def private_place(postgres: Postgres, redis_server: RedisServer) -> Place:
    return migrated(postgres, redis_server)


@pytest.fixture
def postgres_place(private_place: Place) -> Iterator[Place]:
    """PostgreSQL and Redis, empty; this test's own queries go there too. For tests with real transactions."""
    with connected(private_place) as place:
        yield place


@pytest.fixture
def one_place(request: pytest.FixtureRequest) -> Place:
    """The quickest kind of place, for what does not depend on it."""
    return own_place() if "sqlite" in PLACES else request.getfixturevalue("postgres_place")


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    """Each kind of place in turn. For tests with real transactions."""
    return own_place() if request.param == "sqlite" else request.getfixturevalue("postgres_place")
