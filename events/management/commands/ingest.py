"""Take events in from files: `manage.py ingest FILE… --source …`, for back-fills and for history.

Another way to the same INSERT as the door's: safe to repeat, and continued where it stopped.
"""

import gzip
import json
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import suppress
from itertools import batched
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from tqdm import tqdm

from connections import turns
from connections.models import Source
from events.api import DISPATCH
from events.ingest import Arrival, Origin, store
from events.models import Inbox
from events.reading import Refused, outcome_of
from events.strict_json import Item, NotStrict, read, read_line

BLOCK = 500
NO_LIMIT = 2**40


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
        inbox, _ = Inbox.objects.get_or_create(merchant_id=found.merchant_id)
        origin = Origin(
            merchant_id=found.merchant_id,
            source_id=found.pk,
            inbox_id=inbox.pk,
            key_id=None,
            authenticated_by="command",
            backfill=options["backfill"],
            history=options["history"],
        )
        counts = [self.take_in(path, origin, from_start=options["from_start"]) for path in files]
        turns.ring(Inbox, inbox.pk, DISPATCH)
        if options["history"]:
            Source.objects.filter(pk=found.pk).update(history_imported_at=timezone.now())
        new, known, refused = (sum(column) for column in zip(*counts, strict=True))
        self.stdout.write(f"{new} new, {known} known already, {refused} refused")
        if refused:
            raise CommandError(f"{refused} could not be taken in; each is named above.", returncode=2)

    def take_in(self, path: Path, origin: Origin, *, from_start: bool) -> tuple[int, int, int]:
        """One file: how many were new, known and refused. What was stored is remembered beside the file."""
        if not path.exists():
            raise CommandError(f"{path} is not there.")
        memory = Memory(path, origin)
        skipped = 0 if from_start else memory.read()
        new = known = refused = 0
        with tqdm(desc=path.name, unit=" events", initial=skipped, disable=None) as bar:
            values = enumerate(outcomes(path), 1)
            for block in batched((pair for pair in values if pair[0] > skipped), BLOCK):
                arrivals = [one for _, one in block if isinstance(one, Arrival)]
                rows = store(origin, arrivals, timezone.now()).rows if arrivals else []
                known += sum(row.is_duplicate for row in rows)
                new += sum(not row.is_duplicate for row in rows)
                refused += self.name_refused(path, block)
                memory.write(block[-1][0])
                bar.update(len(block))
        memory.forget()
        return new, known, refused

    def name_refused(self, path: Path, block: tuple[tuple[int, Arrival | Refused], ...]) -> int:
        wrong = [(number, one.problem) for number, one in block if isinstance(one, Refused)]
        for number, problem in wrong:
            self.stderr.write(f"{path.name}, event {number}: {problem.detail}")
        return len(wrong)


def outcomes(path: Path) -> Iterator[Arrival | Refused]:
    """The values of a file, one after the other. One object a line is streamed; a list is read whole."""
    with _opened(path) as stream:
        head = next((line.strip() for line in stream if line.strip()), b"")
        first = read_line(head)
        if head.startswith(b"[") or (first.refusal and first.refusal.code == "not_json"):
            yield from map(outcome_of, _whole(path, head + b"\n" + stream.read()))
            return
        yield outcome_of(first)
        yield from (outcome_of(read_line(line.strip())) for line in stream if line.strip())


def _whole(path: Path, raw: bytes) -> list[Item]:
    """All of it is read before any of it is stored: who mends a broken file need not know how far it came."""
    try:
        return list(read(raw, max_items=NO_LIMIT).items)
    except NotStrict as wrong:
        raise CommandError(f"{path.name}: {wrong.detail}") from None


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as start:
        is_gzip = start.read(2) == b"\x1f\x8b"
    return gzip.open(path) if is_gzip else path.open("rb")


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

    def read(self) -> int:
        try:
            told = json.loads(self.at.read_text())
        except (OSError, ValueError):
            return 0
        return int(told["events"]) if told.get("of") == self.of else 0

    def write(self, events: int) -> None:
        with suppress(OSError):
            self.at.write_text(json.dumps({"of": self.of, "events": events}))

    def forget(self) -> None:
        with suppress(OSError):
            self.at.unlink(missing_ok=True)
