"""The game day's own words still mean something: it takes ten minutes, and the suite has not the time to play it."""

import io
import json
from contextlib import redirect_stdout

import pytest
from django_q.brokers import get_broker

from connections.models import ApiKey
from tests.bench import gameday
from webhooks_log.models import AlertHook

pytestmark = pytest.mark.django_db


def said(code: str) -> str:
    with redirect_stdout(io.StringIO()) as told:
        exec(code, {})
    return told.getvalue().strip()


def test_what_the_game_day_sets_up_fills_mends_and_counts_is_there(monkeypatch, twin, settings):
    monkeypatch.setenv("HOOK", "http://127.0.0.1:9/hook")
    settings.KLAVIYO_BASE_URL = twin.url
    assert said(gameday.SET_UP).startswith("vk_")
    assert (ApiKey.objects.count(), AlertHook.objects.count()) == (1, 1)
    assert said(gameday.MEND) == "connected"
    try:
        before = get_broker().queue_size()
        said(gameday.FILL.replace(str(gameday.BELLS), "20"))
        assert get_broker().queue_size() - before == 20
    finally:
        get_broker().delete_queue()
    assert json.loads(said(gameday.TELL))["old rows left"] == 0
