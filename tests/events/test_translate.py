"""`manage.py translate`: what Klaviyo would hear, from a file, from standard input, and line by line."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from events.facts import Facts, Known
from events.translate import tell_again
from events.vrio import read
from tests.events.fixtures import FOLDER, ZONE, Fixture, all_fixtures
from tests.events.vrio_records import offer, sale

ALONE = [fixture for fixture in all_fixtures() if not fixture.needs_a_mirror]


def translated(*arguments: str) -> Any:
    out = io.StringIO()
    call_command("translate", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Gives the command something to read from standard input."""

    def given(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return given


@pytest.mark.parametrize("fixture", ALONE, ids=lambda fixture: fixture.name)
def test_it_prints_what_a_folder_says(fixture: Fixture) -> None:
    printed = json.loads(translated(str(FOLDER / fixture.name / "event.json")))
    if isinstance(fixture.messages, list):
        assert printed == fixture.messages
    else:
        assert list(printed) == ["skipped"]
        assert printed["skipped"].endswith(".")


def test_it_reads_standard_input(stdin: Any) -> None:
    stdin(sale())
    assert [message["metric"] for message in json.loads(translated("-"))] == [
        "Placed Order",
        "Ordered Product",
        "Started Subscription",
    ]


def test_many_events_make_as_many_lines(stdin: Any) -> None:
    stdin(b"\n".join([sale("1"), b"nonsense", sale("2", transaction_type_id="Barter")]) + b"\n\n")
    lines = [json.loads(line) for line in translated("--ndjson").splitlines()]
    assert [type(line) for line in lines] == [list, dict, dict]


def test_the_time_zone_is_a_choice(stdin: Any) -> None:
    stdin(sale())
    message = json.loads(translated("--time-zone", "Europe/Berlin"))[0]
    assert message["body"]["data"]["attributes"]["time"] == "2025-08-30T06:00:00+00:00"


def test_a_test_order_is_translated_when_asked_for(stdin: Any) -> None:
    stdin(sale(order={"id": "1", "is_test": "1"}))
    assert len(json.loads(translated("--send-test-orders"))) == 3


def test_wrong_words_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no time zone Mars/Olympus"):
        translated("--time-zone", "Mars/Olympus", str(tmp_path))
    with pytest.raises(CommandError, match="cannot be read"):
        translated(str(tmp_path / "nothing.json"))


def test_what_was_true_when_it_was_told_is_not_asked_again() -> None:
    facts = read(offer("Paused", "2025-09-02 10:00:00"), time_zone=ZONE)
    assert isinstance(facts, Facts)
    again = tell_again(facts, Known(), metric="Paused Subscription", unique_id="901_paused_20250902100000")
    assert again is not None
    assert again.properties["Status"] == "Paused"


def test_a_message_the_table_does_not_have_is_not_told() -> None:
    facts = read(sale(), time_zone=ZONE)
    assert isinstance(facts, Facts)
    assert tell_again(facts, Known(), metric="Placed Order", unique_id="other") is None
    assert tell_again(facts, Known(), metric="Paused Subscription", unique_id="1668") is None
