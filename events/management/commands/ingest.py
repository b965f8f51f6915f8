"""Take events in from files: `manage.py ingest FILE… --source …`, for back-fills and for history.

Another way to the same INSERT as the door's: safe to repeat, and continued where it stopped.
"""

import json
from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError
from tqdm import tqdm

from connections.models import Source
from events.files import BROKEN, Taken, finish, origin_of, take_in
from events.ingest import Origin
from events.strict_json import NotStrict


class Command(BaseCommand):
    help = "Take events in from JSON or NDJSON files, gzipped or not. Repeating a file changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument("--source", required=True, help="id of the source, or MERCHANT-SLUG/SOURCE-NAME")
        parser.add_argument("--backfill", action="store_true", help="Klaviyo records them without starting flows")
        parser.add_argument("--history", action="store_true", help="fill the mirror of the shop and send nothing")
        parser.add_argument("--from-start", action="store_true", help="do not continue where an earlier run stopped")

    def handle(self, *args: Any, files: list[Path], source: str, **options: Any) -> None:
        found = _source(source)
        origin = origin_of(found, "command", backfill=options["backfill"], history=options["history"])
        taken = Taken()
        for path in files:
            taken.add(self.take_in(path, origin, from_start=options["from_start"]))
        finish(found, origin, taken)
        self.stdout.write(f"{taken.new} new, {taken.known} known already, {len(taken.refused)} refused")
        if taken.refused_before:
            self.stdout.write(f"{taken.refused_before} refused by the run that this one continued")
        if not taken.is_whole:
            count = len(taken.refused) + taken.refused_before
            raise CommandError(f"{count} could not be taken in; each was named when it came.", returncode=2)

    def take_in(self, path: Path, origin: Origin, *, from_start: bool) -> Taken:
        """One file. What was stored is remembered beside the file."""
        if not path.exists():
            raise CommandError(f"{path} is not there.")
        memory = Memory(path, origin)
        skipped, refused = (0, 0) if from_start else memory.read()
        taken = Taken(up_to=skipped, refused_before=refused)
        with path.open("rb") as stream, tqdm(desc=path.name, unit=" events", initial=skipped, disable=None) as bar:
            try:
                for block in take_in(stream, origin, after=skipped):
                    for number, sentence in block.refused:
                        self.stderr.write(f"{path.name}, event {number}: {sentence}")
                    bar.update(block.up_to - taken.up_to)
                    taken.add(block)
                    memory.write(taken)
            except NotStrict as wrong:
                raise CommandError(f"{path.name}: {wrong.detail}") from None
            except (OperationalError, InterfaceError) as away:
                raise CommandError(
                    f"The database cannot be written now: {away}. Run this again, it continues where it stopped."
                ) from None
            except BROKEN:
                raise CommandError(f"{path.name} breaks off: it was not copied whole.") from None
        memory.forget()
        return taken


def _source(named: str) -> Source:
    slug, _, name = named.partition("/")
    rows = Source.objects.filter(pk=int(named)) if named.isdigit() else Source.objects.filter(merchant__slug=slug)
    rows = rows.filter(name=name) if name else rows
    if rows.count() != 1:
        known = ", ".join(
            f"{row.pk} ({row.merchant.slug}/{row.name})" for row in Source.objects.select_related("merchant")
        )
        raise CommandError(f"{named} names no source. There are: {known or 'none'}")
    return rows.get()


class Memory:
    """How far an interrupted run came, in a small file beside the big one; gone when the file is done.

    It belongs to this content and this source; anything else starts from the beginning, which is only slower.
    """

    def __init__(self, path: Path, origin: Origin) -> None:
        self.at = path.with_name(f"{path.name}.taken-in")
        told = path.stat()
        self.of = [origin.source_id, told.st_size, told.st_mtime_ns, origin.backfill, origin.history]

    def read(self) -> tuple[int, int]:
        """How many values were read, and how many of them refused."""
        try:
            told = json.loads(self.at.read_text())
        except (OSError, ValueError):
            return 0, 0
        return (int(told["events"]), int(told.get("refused", 0))) if told.get("of") == self.of else (0, 0)

    def write(self, taken: Taken) -> None:
        refused = len(taken.refused) + taken.refused_before
        with suppress(OSError):
            self.at.write_text(json.dumps({"of": self.of, "events": taken.up_to, "refused": refused}))

    def forget(self) -> None:
        with suppress(OSError):
            self.at.unlink(missing_ok=True)
