"""Everything the catalogue says is valid for Klaviyo's own SDK and loses no field in it."""

import json
from typing import Any

import pytest
from openapi_client.models.event_create_query_v2 import EventCreateQueryV2
from openapi_client.models.events_bulk_create_job import EventsBulkCreateJob
from openapi_client.models.profile_upsert_query import ProfileUpsertQuery

from connections.klaviyo.bulk import bulk_body
from connections.klaviyo.payloads import loads, without_phone
from tests.connections.klaviyo.calls import call
from tests.events.fixtures import Fixture, all_fixtures
from tests.twin import Twin

SPOKEN = [fixture for fixture in all_fixtures() if isinstance(fixture.messages, list)]
MODELS = {"/api/events": EventCreateQueryV2, "/api/profile-import": ProfileUpsertQuery}


def lost(sent: Any, kept: Any, path: str = "") -> list[str]:
    """What the SDK's model did not know: it ignores such keys, so what survived is compared."""
    if isinstance(sent, dict) and isinstance(kept, dict):
        gone = [f"{path}/{key}" for key in sent if key not in kept]
        known = [key for key in sent if key in kept and key != "properties"]
        return gone + [name for key in known for name in lost(sent[key], kept[key], f"{path}/{key}")]
    if isinstance(sent, list):
        return [name for place, inner in enumerate(sent) for name in lost(inner, kept[place], f"{path}/{place}")]
    return []


@pytest.mark.parametrize("fixture", SPOKEN, ids=lambda fixture: fixture.name)
def test_the_sdk_knows_every_field(fixture: Fixture) -> None:
    for message in fixture.messages:
        model = MODELS[message["path"]].model_validate(message["body"])
        assert lost(message["body"], model.to_dict()) == []


def test_the_twin_accepts_and_records_every_body(twin: Twin) -> None:
    bodies = [(message["path"], compact_bytes(message["body"])) for fixture in SPOKEN for message in fixture.messages]
    refused = [(path, answer.text) for path, body in bodies if not (answer := call(twin, "POST", path, body)).ok]
    assert refused == []
    told = {(message["metric"], message["unique_id"]) for fixture in SPOKEN for message in fixture.messages}
    recorded = {(event["metric"], event["unique_id"]) for event in twin.events()}
    assert recorded == {(metric, unique_id) for metric, unique_id in told if metric}


def test_the_sdk_knows_every_field_of_a_bulk_job_and_of_a_body_without_phone() -> None:
    bodies = [body for fixture in SPOKEN for body in event_bodies(fixture)]
    job = loads(bulk_body(bodies))
    assert lost(job, EventsBulkCreateJob.model_validate(job).to_dict()) == []
    bare = loads(without_phone(bodies[0]))
    assert lost(bare, EventCreateQueryV2.model_validate(bare).to_dict()) == []


def event_bodies(fixture: Fixture) -> list[bytes]:
    return [compact_bytes(message["body"]) for message in fixture.messages if message["path"] == "/api/events"]


def compact_bytes(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
