"""What the OpenAPI document says of the door: bodies, answers, keys.

Beside the door; read by `/api/schema/`, by the readable page, and by tests that hold the running server against it.
"""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

type Schema = dict[str, Any]


def ref(name: str) -> Schema:
    """A component by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def answers(*statuses: int, **named: Schema) -> dict[Any, Schema]:
    """`{status: schema}` for extend_schema: problems for `statuses`, the given schemas for `ok_200=…`."""
    problems = {(status, "application/problem+json"): ref("Problem") for status in statuses}
    return {(int(name.rsplit("_", 1)[1]), "application/json"): schema for name, schema in named.items()} | problems


BY_KEY = [{"bearer": []}, {"apiKey": []}]
ONE = {
    "type": "object",
    "required": ["webhook_type", "webhook_event", "webhook_event_id", "webhook_data"],
    "properties": {
        "webhook_type": {"type": "string", "minLength": 1, "maxLength": 40, "examples": ["transaction"]},
        "webhook_event": {"type": "string", "minLength": 1, "maxLength": 60, "examples": ["transaction_completed"]},
        "webhook_event_id": {"type": ["string", "integer"], "maxLength": 200, "examples": [5325]},
        "webhook_event_date": {"type": ["string", "null"], "maxLength": 40, "examples": ["2025-09-30 18:46:19"]},
        "webhook_data": {"type": "object", "description": "The record, under a key equal to `webhook_type`."},
    },
}
RESULT = {
    "type": "object",
    "required": ["status"],
    "properties": {
        "status": {"enum": ["accepted", "duplicate", "refused"]},
        "id": {"type": "integer", "description": "Our id of the event; of a duplicate, the id it already has."},
        "conflict_of": {"type": "integer", "description": "The event that has the same identity and other content."},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "field": {"type": "string"},
    },
}
PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable: never changes its meaning."},
        "detail": {"type": "string", "description": "A sentence for people."},
        "field": {"type": "string"},
        "results": {"type": "array", "items": ref("Result")},
    },
}
DELIVERY = {
    "type": "object",
    "properties": {
        "connection": {"type": "string"},
        "metric": {"type": "string", "description": "The name Klaviyo shows; empty for a profile alone."},
        "unique_id": {"type": "string"},
        "state": {"enum": ["queued", "sending", "waiting", "delivered", "failed", "skipped"]},
        "reason": {"type": "string"},
        "detail": {"type": "string"},
        "attempts": {"type": "integer"},
        "http_status": {"type": ["integer", "null"]},
        "next_attempt_at": {"type": ["string", "null"], "format": "date-time"},
        "settled_at": {"type": ["string", "null"], "format": "date-time"},
    },
}
STORED = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "webhook_type": {"type": "string"},
        "webhook_event": {"type": "string"},
        "webhook_event_id": {"type": "string"},
        "webhook_event_date": {"type": "string"},
        "received_at": {"type": "string", "format": "date-time"},
        "authenticated_by": {"type": "string"},
        "arrivals": {"type": "integer", "description": "How often it came with the same content."},
        "conflict_of": {"type": ["integer", "null"]},
        "backfill": {"type": "boolean"},
        "state": {"enum": ["received", "dispatched", "ignored", "held", "broken"]},
        "reason": {"type": "string"},
        "detail": {"type": "string"},
        "order_id": {"type": "string"},
        "deliveries": {"type": "array", "items": ref("Delivery")},
    },
}
SENT = {
    "type": "object",
    "properties": {
        "connection": {"type": "string"},
        "metric": {"type": "string"},
        "unique_id": {"type": "string"},
        "state": {"type": "string"},
        "reason": {"type": "string"},
        "detail": {"type": "string"},
        "path": {"type": "string"},
        "body": {"description": "What Klaviyo would be sent.", "type": ["object", "null"]},
        "notes": {"type": "array", "items": {"type": "string"}},
    },
}
COMPONENTS = {
    "Event": ONE, "Result": RESULT, "Problem": PROBLEM, "Delivery": DELIVERY, "StoredEvent": STORED, "Prospect": SENT,
    "Results": {
        "type": "object",
        "required": ["results"],
        "properties": {"results": {"type": "array", "items": ref("Result")}},
    },
}  # fmt: skip
KEYS = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key made on *Receive from Vrio*."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "The same key, the other way."},
}
BODY = {
    "application/json": {"oneOf": [ref("Event"), {"type": "array", "minItems": 1, "items": ref("Event")}]},
    "application/x-ndjson": {"type": "string", "description": "One event a line."},
}
REFUSALS = (400, 401, 403, 413, 415, 422, 429, 503)
SENDING = {
    "request": BODY,
    "responses": answers(
        *REFUSALS,
        new_202=ref("Results"),
        known_200=ref("Results"),
        some_207=ref("Results"),
    ),
    "description": "One event, a list, or one event a line; at most 5 MB and 1,000 events, gzip welcome. 202: stored. "
    "200: all were known already. 207: some were refused, the others are stored.",
    "tags": ["Send"],
}
BY_ADDRESS = SENDING | {
    "responses": answers(400, 403, 404, 413, 415, 422, 429, 503, stored_200=ref("Results"), some_207=ref("Results")),
    "description": "For Vrio's v1 webhooks, which carry no header: the token in the address is the key, any "
    "Content-Type is read, and success is always 200. All four URL fields of Vrio may hold it.",
    "auth": [],
}
BY_SIGNATURE = SENDING | {
    "responses": answers(400, 401, 403, 404, 413, 415, 422, 429, 503)
    | answers(new_202=ref("Results"), known_200=ref("Results"), some_207=ref("Results")),
    "description": "For Vrio's Webhook 2.0: the HMAC of the raw body stands in the header that the signing secret "
    "names, as hex or base64, with its prefix if it has one. Any active secret of the same source fits.",
    "auth": [],
}


def query(name: str, words: str, kind: Any = OpenApiTypes.STR) -> OpenApiParameter:
    """A parameter after the question mark."""
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=words)


def finish(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """A hook of drf-spectacular: name the components, the keys, and the token that no log may show."""
    components = result.setdefault("components", {})
    components["schemas"] = components.get("schemas", {}) | COMPONENTS
    components["securitySchemes"] = KEYS
    hidden = result["paths"].pop("/api/v1/ingest/", None)
    if hidden:
        token = {"name": "token", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        hidden["post"]["parameters"] = [token]
        result["paths"]["/api/v1/ingest/{token}"] = hidden
    return result
