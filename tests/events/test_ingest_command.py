"""Back-fills from files: repeatable, resumable, named where refused."""

import gzip
import json

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from events.models import Event
from tests.events.door import an_event

pytestmark = pytest.mark.django_db


def lines(count: int, start: int = 1) -> bytes:
    return b"".join(json.dumps(an_event(number)).encode() + b"\n" for number in range(start, start + count))


def take_in(path, source, **options) -> None:
    call_command("ingest", str(path), source=str(source.pk), **options)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("form", [lines(3), json.dumps([an_event(n) for n in range(1, 4)], indent=1).encode()])
def test_lists_and_lines_are_taken_in_gzipped_or_not(tmp_path, source, capsys, form, pack):
    path = tmp_path / "history"
    path.write_bytes(pack(form))
    take_in(path, source)
    assert "3 new, 0 known already, 0 refused" in capsys.readouterr().out
    assert set(Event.objects.values_list("event_id", "authenticated_by")) == {(str(n), "command") for n in (1, 2, 3)}


def test_one_pretty_object_is_an_event(tmp_path, source):
    path = tmp_path / "one.json"
    path.write_text(json.dumps(an_event(), indent=2))
    take_in(path, source)
    assert Event.objects.get().event_id == "5325"


def test_repeating_a_file_changes_nothing(tmp_path, source, capsys):
    path = tmp_path / "history.ndjson"
    path.write_bytes(lines(3))
    take_in(path, source)
    take_in(path, source)
    assert "0 new, 3 known already" in capsys.readouterr().out
    assert Event.objects.count() == 3


def test_marks_say_what_the_events_are_for(tmp_path, source):
    path = tmp_path / "history.ndjson"
    path.write_bytes(lines(1))
    take_in(path, source, backfill=True)
    path.write_bytes(lines(1, start=2))
    take_in(path, source, history=True)
    assert list(Event.objects.order_by("pk").values_list("backfill", "history")) == [(True, False), (False, True)]
    source.refresh_from_db()
    assert source.history_imported_at is not None


def test_a_database_that_is_away_is_said_and_the_run_continues_afterwards(tmp_path, source, capsys):
    def away(execute, sql, params, many, context):
        if "events_event" in (sql or "events_event"):
            raise OperationalError("the server is gone")
        return execute(sql, params, many, context)

    path = tmp_path / "history.ndjson"
    path.write_bytes(lines(3))
    with connection.execute_wrapper(away), pytest.raises(CommandError, match=r"gone.*Run this again"):
        take_in(path, source)
    take_in(path, source)
    assert "3 new, 0 known already" in capsys.readouterr().out


def test_an_interrupted_run_continues_where_it_stopped(tmp_path, source, capsys):
    path = tmp_path / "history.ndjson"
    path.write_bytes(lines(1200))
    told = path.stat()
    of = [source.pk, told.st_size, told.st_mtime_ns, False, False]
    path.with_name("history.ndjson.taken-in").write_text(json.dumps({"of": of, "events": 1000}))
    take_in(path, source)
    assert "200 new" in capsys.readouterr().out
    assert not path.with_name("history.ndjson.taken-in").exists()


def test_a_history_is_not_whole_when_the_run_it_continues_refused_some(tmp_path, source, capsys):
    path = tmp_path / "history.ndjson"
    path.write_bytes(lines(1200))
    told = path.stat()
    of = [source.pk, told.st_size, told.st_mtime_ns, False, True]
    memory = {"of": of, "events": 1000, "refused": 2}
    path.with_name("history.ndjson.taken-in").write_text(json.dumps(memory))
    with pytest.raises(CommandError, match="2 could not be taken in"):
        take_in(path, source, history=True)
    source.refresh_from_db()
    assert source.history_imported_at is None


def test_what_is_refused_is_named_and_the_rest_is_taken_in(tmp_path, source, capsys):
    path = tmp_path / "history.ndjson"
    path.write_bytes(lines(1) + b'{"webhook_type": 1}\n{"a": 1, "a": 2}\n' + lines(1, start=2))
    with pytest.raises(CommandError, match="2 could not be taken in"):
        take_in(path, source)
    told = capsys.readouterr().err
    assert "event 2: webhook_type must be a text." in told
    assert "event 3: The key 'a' appears twice" in told
    assert Event.objects.count() == 2


def test_a_source_that_is_not_there_lists_those_that_are(source):
    with pytest.raises(CommandError, match="acme/Vrio v1"):
        call_command("ingest", "nothing.json", source="acme/Other")
