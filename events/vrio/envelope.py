"""Opens a stored event: Vrio's envelope around one record, or a bare record of Vrio's API.

Identity was settled at the door by `events.envelope`; here the object inside is found, for the readers.
"""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from events.envelope import NoEnvelope, read_envelope
from events.facts import Broken
from events.vrio.values import Record

DECODER = json.JSONDecoder(parse_float=Decimal)


@dataclass(frozen=True, slots=True)
class Opened:
    """`type` and `event` in Vrio's words (lower case, underscores), `record` the object inside."""

    type: str
    event: str
    event_id: str
    date: str
    record: Record


def opened(body: bytes) -> Opened:
    """The envelope of one stored event; raises Broken with the field that is wrong."""
    try:
        document = DECODER.decode(body.decode())
    except (ValueError, RecursionError) as error:
        raise Broken("body", f"This is not JSON: {error}") from None
    try:
        envelope = read_envelope(document)
    except NoEnvelope as wrong:
        raise Broken(wrong.field, wrong.detail) from None
    type_ = word(envelope.webhook_type)
    record = record_of(document, type_) if "webhook_data" in document else document
    return Opened(type_, word(envelope.webhook_event), envelope.event_id, envelope.event_date, record)


def word(told: str) -> str:
    """ "Order Abandoned" is what Vrio's screens say, `order_abandoned` what is meant."""
    return "_".join(told.lower().split())


def record_of(document: dict[str, Any], type_: str) -> Record:
    inside = document["webhook_data"]
    record = inside.get(type_, inside)
    if not isinstance(record, dict):
        raise Broken(f"webhook_data.{type_}", "It is not an object.")
    return record
