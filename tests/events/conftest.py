"""Who sends to the door: a source of a shop, and a key of its own."""

import pytest

from connections import keys
from connections.models import Source
from tests.events.door import a_source


@pytest.fixture
def source() -> Source:
    return a_source()


@pytest.fixture
def clear(source: Source) -> str:
    """An API key of the source, as whoever sends holds it."""
    return keys.new_bearer(source, name="Vrio")[1]
