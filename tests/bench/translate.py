"""How fast events are translated: `make bench-translate`. Pure, one core, no database.

Reads, translates and renders 10,000 mixed events made from the fixtures, each with a customer and ids of its own, so
that nothing is found in a cache that a real shop would not have filled.
"""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from connections.klaviyo.payloads import render
from events.facts import Facts, Known, Skipped
from events.profile import event_content, profile_of
from events.translate import known_from, translate
from events.vrio import read

EVENTS = 10_000
FOLDER = Path(__file__).parent.parent / "fixtures" / "events"
ZONE = "America/New_York"
AIM_US = 150


def main() -> None:
    bodies = mixed()
    pure = measure(bodies, pure_part)
    whole = measure(bodies, with_bodies)
    print(f"{EVENTS:,} events, every fixture of the catalogue in turn, distinct customers, one core")
    report("Facts + table", pure)
    report("with profile and bodies", whole)
    median = statistics.median(pure)
    print(f"aim: median of Facts + table under {AIM_US} µs: {'met' if median < AIM_US else 'MISSED'}")


def mixed() -> list[bytes]:
    """Events of all fixtures in turn, each about its own transaction, order and customer."""
    texts = [path.read_text() for path in sorted(FOLDER.glob("*/event.json"))]
    texts = [json.dumps(json.loads(text)) for text in texts]
    return [distinct(texts[number % len(texts)], number) for number in range(EVENTS)]


def distinct(text: str, number: int) -> bytes:
    for name in ("68441", "1668", "1253", "john.doe"):
        text = text.replace(name, f"{name}{number}")
    return text.replace("123-4567", f"{number // 10000 + 100:03d}-{number % 10000:04d}").encode()


def pure_part(body: bytes) -> None:
    facts = read(body, time_zone=ZONE)
    if isinstance(facts, Facts):
        translate(facts, Known())


def with_bodies(body: bytes) -> None:
    facts = read(body, time_zone=ZONE)
    if not isinstance(facts, Facts):
        return
    known = known_from(facts)
    messages: Any = translate(facts, known)
    if isinstance(messages, Skipped):
        return
    profile, _ = profile_of(facts, known)
    for message in messages:
        render(event_content(message, currency="USD"), profile)


def measure(bodies: list[bytes], work: Callable[[bytes], None]) -> list[float]:
    """Microseconds of processor time for each event: what other processes of the machine do is not counted."""
    for body in bodies[:200]:
        work(body)
    taken = []
    for body in bodies:
        began = time.thread_time_ns()
        work(body)
        taken.append((time.thread_time_ns() - began) / 1000)
    return taken


def report(name: str, taken: list[float]) -> None:
    taken = sorted(taken)
    per_second = len(taken) / (sum(taken) / 1_000_000)
    print(
        f"{name:24} {per_second:8,.0f} events/s   median {statistics.median(taken):6.1f} µs"
        f"   p95 {taken[len(taken) * 95 // 100]:6.1f} µs   mean {statistics.fmean(taken):6.1f} µs"
    )


if __name__ == "__main__":
    main()
