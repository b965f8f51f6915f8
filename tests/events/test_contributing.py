"""The worked example of CONTRIBUTING.md does what it says: its row, its folder and its line belong together."""

import json
from pathlib import Path

from events import catalogue
from events.catalogue import RULES, Rule
from events.translate import known_from
from events.vrio import read
from tests.events.fixtures import ZONE, readme_row, said

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def part(name: str) -> str:
    """What stands between two marks, without the fence around it."""
    inside = TEXT.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0].strip()
    return inside.removeprefix("```python").removeprefix("```json").removesuffix("```").strip()


def row() -> Rule:
    return eval(part("row"), vars(catalogue))


def test_the_event_of_the_example_says_its_messages() -> None:
    event = part("event").encode()
    assert said(event, known_from(read(event, time_zone=ZONE)), rules=(*RULES, row())) == json.loads(part("messages"))


def test_without_the_row_the_event_is_silent() -> None:
    event = part("event").encode()
    assert said(event, known_from(read(event, time_zone=ZONE))) == {"skipped": "recorded_only"}


def test_the_line_is_the_row_in_the_readmes_words() -> None:
    assert part("line") == readme_row(row())


def test_the_folder_has_the_rows_name() -> None:
    assert f"tests/fixtures/events/{row().name}/" in TEXT
