"""Read the envelope of one record: what happened, under which id, and when Vrio says it was.

At the door, after the JSON is known to be strict and before anything is stored; the content is left to the readers. A
record without an envelope (REST answers, history) gets one of its own, made from its id and its own date. Pure.
"""

from typing import Any, NamedTuple

_ENVELOPE = frozenset(("webhook_type", "webhook_event", "webhook_event_id", "webhook_event_date", "webhook_data"))
_LONGEST = {"webhook_type": 40, "webhook_event": 60, "webhook_event_id": 200, "webhook_event_date": 40}

# Which id names a bare record, the most particular first: a transaction also names its order and its customer.
# The first date that is set tells what happened: a payment or a parcel without `date_complete` is only planned.
# fmt: off
_RECORDS = (
    ("transaction_id", "transaction",
                       {"date_complete": "transaction_completed", "date_created": "transaction_scheduled"}),
    ("shipment_id",    "shipment",    {"date_complete": "shipment_shipped", "date_created": "shipment_scheduled"}),
    ("order_offer_id", "order_offer", {"date_modified": "order_offer_updated", "date_created": "order_offer_updated"}),
    ("order_id",       "order",       {"date_modified": "order_updated", "date_created": "order_updated"}),
    ("customer_id",    "customer",    {"date_created": "customer_created"}),
)
# fmt: on
_UNSET = (None, "", "---", "0000-00-00 00:00:00")


class NoEnvelope(ValueError):
    """The record cannot be told apart from others: a stable code, a sentence, and the field that is wrong."""

    def __init__(self, code: str, field: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.field, self.detail = code, field, detail


class Envelope(NamedTuple):
    """What happened (`webhook_type`, `webhook_event`), its id as text, and its date as Vrio wrote it ("" if unset)."""

    webhook_type: str
    webhook_event: str
    event_id: str
    event_date: str


def read_envelope(record: Any) -> Envelope:
    """The envelope of a record; raises NoEnvelope. Kinds we do not know yet are no reason to refuse."""
    if not isinstance(record, dict):
        raise NoEnvelope("not_an_object", "", "An event is a JSON object.")
    if _ENVELOPE.isdisjoint(record):
        return _envelope_of_bare(record)
    envelope = Envelope(
        webhook_type=_word(record, "webhook_type"),
        webhook_event=_word(record, "webhook_event"),
        event_id=_identifier(record, "webhook_event_id"),
        event_date=_date(record, "webhook_event_date"),
    )
    if not isinstance(record.get("webhook_data"), dict):
        raise _wrong("webhook_data", "must be an object that holds the record", "webhook_data" in record)
    return envelope


def clean(text: str) -> str:
    """The text without what a text column cannot hold: NUL and lone surrogates, which JSON may spell."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _envelope_of_bare(record: dict[str, Any]) -> Envelope:
    for id_field, webhook_type, events in _RECORDS:
        if record.get(id_field) is not None:
            record_id = _identifier(record, id_field)
            set_date = next((name for name in events if record.get(name) not in _UNSET), None)
            date = _date(record, set_date) if set_date else ""
            event = events[set_date] if set_date else list(events.values())[-1]
            return Envelope(webhook_type, event, f"rest:{webhook_type}:{record_id}:{event}:{date}", date)
    raise NoEnvelope("field_missing", "webhook_type", "webhook_type is missing, and no record id names the event.")


def _word(record: dict[str, Any], field: str) -> str:
    value = record.get(field)
    if not isinstance(value, str) or not value.strip():
        raise _wrong(field, "must be a text", field in record)
    return _bounded(field, value.strip())


def _identifier(record: dict[str, Any], field: str) -> str:
    value = record.get(field)
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not str(value).strip():
        raise _wrong(field, "must be a text or an integer", field in record)
    return _bounded(field, str(value).strip())


def _date(record: dict[str, Any], field: str) -> str:
    value = record.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong(field, "must be a text such as 2024-09-12 10:44:13")
    return _bounded(field, value.strip())


def _bounded(field: str, text: str) -> str:
    longest = _LONGEST.get(field, 40)
    if len(text) > longest:
        raise _wrong(field, f"is longer than {longest} characters")
    return clean(text)


def _wrong(field: str, must: str, is_there: bool = True) -> NoEnvelope:
    if not is_there:
        return NoEnvelope("field_missing", field, f"{field} is missing.")
    return NoEnvelope("field_invalid", field, f"{field} {must}.")
