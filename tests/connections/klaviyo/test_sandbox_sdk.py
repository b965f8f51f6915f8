"""Klaviyo's own SDK, pointed at the sandbox, finds nothing strange: the proof that the sandbox is honest."""

import time
from typing import Any

import pytest
from klaviyo_api import KlaviyoAPI
from openapi_client.exceptions import (
    ApiException,
    BadRequestException,
    ForbiddenException,
    NotFoundException,
    ServiceException,
    UnauthorizedException,
)
from openapi_client.models.event_create_query_v2 import EventCreateQueryV2
from openapi_client.models.events_bulk_create_job import EventsBulkCreateJob
from openapi_client.models.profile_upsert_query import ProfileUpsertQuery

from connections.klaviyo.sandbox.accounts import FULL_KEY, NO_EVENTS_KEY, REVOKED_KEY
from tests.connections.klaviyo.calls import EMAIL, bulk, event, profile
from tests.twin import Twin


def sdk(twin: Twin, key: str = FULL_KEY, retries: int = 0) -> Any:
    return KlaviyoAPI(key, max_delay=60, max_retries=retries, test_host=twin.url)


def refusal(kind: type[ApiException], act: Any, *arguments: Any) -> ApiException:
    with pytest.raises(kind) as refused:
        act(*arguments)
    return refused.value


def test_create_event_is_accepted_and_recorded(twin: Twin) -> None:
    assert sdk(twin).Events.create_event(event()) is None
    assert [(row["metric"], row["unique_id"]) for row in twin.events()] == [("Placed Order", "1668")]
    sent = twin.requests()[0]["headers"]
    assert (sent["revision"], sent["Authorization"]) == ("2026-10-15", f"Klaviyo-API-Key {FULL_KEY}")


def test_profile_import_answers_with_a_profile(twin: Twin) -> None:
    first = sdk(twin).Profiles.create_or_update_profile(profile(first_name="Sarah"))
    again = sdk(twin).Profiles.create_or_update_profile(profile())
    assert first.data.id == again.data.id
    assert first.data.attributes.email == EMAIL


def test_bulk_events_are_accepted(twin: Twin) -> None:
    job = bulk(({"email": EMAIL}, [{"unique_id": "1"}, {"unique_id": "2"}]))
    assert sdk(twin).Events.bulk_create_events(job) is None
    assert len(twin.events()) == 2


def test_accounts_and_lists_are_read(twin: Twin) -> None:
    account = sdk(twin).Accounts.get_accounts().data[0]
    assert account.attributes.public_api_key == "DemoA1"
    assert account.attributes.contact_information.organization_name == "Sandbox Shop DemoA1"
    assert len(sdk(twin).Lists.get_lists().data) == 3


def test_profiles_events_and_metrics_are_read_back(twin: Twin) -> None:
    klaviyo = sdk(twin)
    klaviyo.Events.create_event(event())
    twin.events()
    person = klaviyo.Profiles.get_profiles(filter=f'equals(email,"{EMAIL}")').data[0]
    found = klaviyo.Events.get_events(filter=f'equals(profile_id,"{person.id}")', page_size=10, include=["metric"])
    assert found.data[0].attributes.event_properties["$event_id"] == "1668"
    assert klaviyo.Events.get_event(found.data[0].id).data.id == found.data[0].id
    assert klaviyo.Profiles.get_profile(person.id).data.attributes.email == EMAIL
    assert [metric.attributes.name for metric in klaviyo.Metrics.get_metrics().data] == ["Placed Order"]


def test_a_deletion_job_is_accepted(twin: Twin) -> None:
    body = {"data": {"type": "data-privacy-deletion-job", "attributes": {"profile": {"data": profile()["data"]}}}}
    assert sdk(twin).Data_Privacy.request_profile_deletion(body) is None


def test_a_429_is_retried_when_retry_after_says(twin: Twin) -> None:
    twin.fault(status=429, retry_after=1)
    began = time.monotonic()
    sdk(twin, retries=3).Events.create_event(event())
    assert time.monotonic() - began >= 1
    assert [row["status"] for row in twin.requests()] == [429, 202]


@pytest.mark.parametrize(
    ("key", "kind", "code"),
    [
        ("pk_unknown00000000000000", UnauthorizedException, "not_authenticated"),
        (REVOKED_KEY, UnauthorizedException, "authentication_failed"),
        (NO_EVENTS_KEY, ForbiddenException, "permission_denied"),
    ],
)
def test_a_key_that_may_not_raises_its_class(twin: Twin, key: str, kind: type[ApiException], code: str) -> None:
    assert refusal(kind, sdk(twin, key).Events.create_event, event()).data.errors[0].code == code


def test_a_bad_phone_raises_bad_request_with_its_pointer(twin: Twin) -> None:
    refused = refusal(BadRequestException, sdk(twin).Profiles.create_or_update_profile, profile(phone_number="555"))
    assert refused.data.errors[0].source.pointer == "/data/attributes/phone_number"


def test_a_known_profile_raises_with_409(twin: Twin) -> None:
    sdk(twin).Profiles.create_profile(profile())
    refused = refusal(ApiException, sdk(twin).Profiles.create_profile, profile())
    assert (refused.status, refused.data.errors[0].code) == (409, "duplicate_profile")


def test_a_profile_that_is_not_there_raises_not_found(twin: Twin) -> None:
    assert refusal(NotFoundException, sdk(twin).Profiles.get_profile, "invalid").status == 404


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_fault_raises_its_class(twin: Twin, status: int) -> None:
    twin.fault(status=status)
    assert refusal(ServiceException, sdk(twin).Events.create_event, event()).status == status


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (EventCreateQueryV2, event(profile={"phone_number": "+12025550123", "first_name": "Sarah"})),
        (ProfileUpsertQuery, profile(location={"zip": "02110"}, properties={"CLV": "1"})),
        (EventsBulkCreateJob, bulk(({"email": EMAIL}, [{"unique_id": "1", "value": 1.5}]))),
    ],
)
def test_the_bodies_of_these_tests_are_good_for_the_sdk_too(model: Any, body: dict[str, Any]) -> None:
    assert model.model_validate(body)
