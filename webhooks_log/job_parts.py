"""What a bulk job's one answer means for each of its Deliveries.

Between the wire and a lane's settlement: each row gets an outcome of its own, with nothing in it about its neighbours.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from connections.klaviyo.bulk import POINTER, Bulk, meant
from connections.klaviyo.exchange import Exchange, Problem
from connections.klaviyo.payloads import without_phone
from webhooks_log.claim import Owed
from webhooks_log.deliver import Outcome
from webhooks_log.packing import pack_content
from webhooks_log.verdicts import BY_NAME, JOB_REFUSED, Answer, Then, Verdict, judge_answer

SORTABLE = (400, 409, 413, 422)  # refusals of content; others refuse the endpoint, and single calls take over


@dataclass(slots=True)
class Part:
    """One person's piece of a job, stored once for all rows that went in it. `body_id` is set when it is stored."""

    job: bytes
    start: int
    end: int
    body_id: int = 0

    @property
    def content(self) -> bytes:
        return self.job[self.start : self.end]


@dataclass(slots=True)
class Job:
    """A bulk call for many claimed rows of one connection, in the order of its items."""

    rows: list[Owed]
    bulk: Bulk
    parts: list[Part]
    digest: str  # SHA-256 of the body, the same for all its rows
    path: str

    @property
    def connection_id(self) -> int:
        return self.rows[0].connection_id

    @property
    def body(self) -> bytes:
        return self.bulk.body


@dataclass(frozen=True, slots=True)
class Own:
    """What a row's place in the answer means for it; `goes_again` where Klaviyo refused the job for another item."""

    row: Owed
    outcome: Outcome
    goes_again: bool = False

    @property
    def loses_phone(self) -> bool:
        """Whether it is due a second call without its phone number."""
        may = self.outcome.verdict.then is Then.NOW_WITHOUT_PHONE and not self.goes_again
        return may and not self.row.phone_dropped_at and self.outcome.stripped != self.row.body


def is_refused(outcome: Outcome) -> bool:
    """Whether Klaviyo judged the job and took none of it."""
    return outcome.verdict.then in (Then.FAILED, Then.NOW_WITHOUT_PHONE)


def own_outcomes(job: Job, outcome: Outcome) -> list[Own]:
    """An outcome for each row, in the order of the items."""
    if is_refused(outcome):
        return refused_outcomes(job, outcome)
    if outcome.verdict.name == "phone_ignored":
        accepted = replace_verdict(outcome, BY_NAME["accepted"])
        return [Own(row, outcome if b'"phone_number"' in row.body else accepted) for row in job.rows]
    return [Own(row, outcome) for row in job.rows]


def refused_outcomes(job: Job, outcome: Outcome) -> list[Own]:
    exchange = outcome.exchange
    named = meant(job.bulk, exchange.problems()) if exchange.status in SORTABLE else {}
    others = about(outcome, JOB_REFUSED, ())
    owns = [
        Own(row, refused(row, outcome, named[index])) if index in named else Own(row, others, goes_again=True)
        for index, row in enumerate(job.rows)
    ]
    lose_phone = {group for own, (group, _) in zip(owns, job.bulk.places, strict=True) if own.loses_phone}
    return [
        without_own_phone(own) if group in lose_phone else own
        for own, (group, _) in zip(owns, job.bulk.places, strict=True)
    ]


def without_own_phone(own: Own) -> Own:
    """A row that had no phone of its own beside one that had: it was refused for the other's."""
    is_about_phone = own.outcome.verdict.then is Then.NOW_WITHOUT_PHONE
    return replace(own, goes_again=True) if is_about_phone and not own.loses_phone else own


def refused(row: Owed, outcome: Outcome, problems: Sequence[Problem]) -> Outcome:
    """The outcome of a row that Klaviyo named, as if it had been sent alone."""
    status = outcome.exchange.status or 0
    verdict = judge_answer(Answer(status, None, is_html=False, problems=tuple(problems), dropped=""))
    own = about(outcome, verdict, problems)
    if verdict.then is Then.NOW_WITHOUT_PHONE:
        own.stripped = without_phone(row.body)
    return own


def about(outcome: Outcome, verdict: Verdict, problems: Sequence[Problem]) -> Outcome:
    """The same exchange, its answer without what is said of other items."""
    answer = own_answer(outcome.exchange, {problem.pointer for problem in problems})
    exchange = replace(outcome.exchange, answer=answer)
    packed, codec = pack_content(exchange)
    return Outcome(exchange, verdict, packed, codec)


def own_answer(exchange: Exchange, pointers: set[str]) -> bytes:
    """The exact answer if it speaks of no other item; else its document with the other items' errors left out."""
    try:
        document = json.loads(exchange.answer)
    except (ValueError, RecursionError):
        return exchange.answer
    errors = document.get("errors") if isinstance(document, dict) else None
    if not isinstance(errors, list):
        return exchange.answer
    kept = [error for error in errors if not is_about_another(error, pointers)]
    return exchange.answer if len(kept) == len(errors) else json.dumps({**document, "errors": kept}).encode()


def is_about_another(error: Any, pointers: set[str]) -> bool:
    source = error.get("source") if isinstance(error, dict) else None
    pointer = str(source.get("pointer") or "") if isinstance(source, dict) else ""
    return pointer not in pointers and POINTER.match(pointer) is not None


def replace_verdict(outcome: Outcome, verdict: Verdict) -> Outcome:
    return Outcome(outcome.exchange, verdict, outcome.packed, outcome.codec)
