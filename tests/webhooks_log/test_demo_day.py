"""`manage.py demo_day`: a day over real HTTP, and the same day once more."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from connections import demo
from events.models import Event
from tests.servers import free_port


@pytest.fixture
def shop(settings: Any, transactional_db: None) -> None:
    settings.DEMO_API_KEY, settings.DEMO_OUTLET_API_KEY = "vk_shop", "vk_outlet"
    settings.DEMO_MERCHANT_PASSWORD = settings.DEMO_SUPPORT_PASSWORD = settings.DEMO_SUPERUSER_PASSWORD = "word"
    demo.set_up()


def play(url: str, sandbox: str) -> str:
    said = StringIO()
    call_command("demo_day", short=True, url=url, sandbox_url=sandbox, stdout=said)
    return said.getvalue()


def test_a_day_arrives_and_its_repeat_adds_nothing(shop: None, live_server: Any, twin: Any) -> None:
    first = play(live_server.url, twin.url)
    arrived = Event.objects.count()
    second = play(live_server.url, twin.url)
    assert f"{arrived} events were new, 1 known already." in first
    assert "0 events were new" in second
    assert Event.objects.count() == arrived


def test_nobody_at_the_address_is_said_in_one_line(shop: None) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(CommandError, match="Nobody answers at"):
        play(nowhere, nowhere)


def test_a_wrong_key_is_reported_with_the_doors_answer(shop: None, settings: Any, live_server: Any, twin: Any) -> None:
    settings.DEMO_API_KEY = settings.DEMO_OUTLET_API_KEY = "vk_wrong"
    with pytest.raises(CommandError, match="was answered 401"):
        play(live_server.url, twin.url)
