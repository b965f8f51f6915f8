"""Every fixture folder is said as it is written; table, folders and README tell of the same rows."""

import json

import pytest

from events.catalogue import RULES, UNSAID
from tests.events.fixtures import Fixture, all_fixtures, readme_row, readme_rows, said

FIXTURES = all_fixtures()


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.name)
def test_an_event_says_what_its_folder_says(fixture: Fixture) -> None:
    assert said(fixture.event, fixture.known) == fixture.messages


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.name)
def test_a_folder_keeps_the_order_of_properties(fixture: Fixture) -> None:
    assert json.dumps(said(fixture.event, fixture.known)) == json.dumps(fixture.messages)


def test_every_row_of_the_table_has_a_folder_and_every_folder_a_row() -> None:
    rows = {rule.name for rule in RULES}
    folders = {fixture.row for fixture in FIXTURES} - {"silent", "skipped"}
    assert folders == rows


def test_a_row_is_spoken_in_its_own_folder() -> None:
    for rule in RULES:
        spoken = [message["metric"] for message in Fixture(rule.name).messages]
        assert rule.metric in spoken, rule.name


def test_every_silence_has_a_folder() -> None:
    told = {fixture.messages["skipped"] for fixture in FIXTURES if fixture.row == "silent"}
    assert {row.reason for row in UNSAID} - {"nothing_to_say"} <= told


def test_no_two_rows_share_trigger_and_metric() -> None:
    pairs = [(rule.trigger, rule.metric) for rule in RULES]
    assert len(pairs) == len(set(pairs))


def test_the_readme_tells_the_table_row_by_row() -> None:
    assert readme_rows() == [readme_row(rule) for rule in RULES]
