"""What is recorded of what was accepted: once, a moment later, and not at all for addresses that are made up."""

import time
from typing import Any

import pytest

from tests.connections.klaviyo.calls import EMAIL, bulk, call, event, import_profile, post_event, profile
from tests.twin import Twin


def read_events(twin: Twin, query: str = "") -> list[dict[str, Any]]:
    return call(twin, "GET", f"/api/events{query}").json()["data"]


def profile_id(twin: Twin, email: str = EMAIL) -> str:
    return next(row["id"] for row in twin.profiles() if row["email"] == email)


def test_an_event_is_recorded_as_it_was_sent(twin: Twin) -> None:
    post_event(twin, profile={"first_name": "Sarah"}, backfill=True)
    row = twin.events()[0]
    assert {name: row[name] for name in ("account", "email", "metric", "unique_id", "value", "value_currency")} == {
        "account": "DemoA1",
        "email": EMAIL,
        "metric": "Placed Order",
        "unique_id": "1668",
        "value": 29.99,
        "value_currency": "USD",
    }
    assert row["properties"] == {"OrderId": "1253"}
    assert row["profile"] == {"email": EMAIL, "first_name": "Sarah"}
    assert (row["time"], row["backfill"], row["duplicates"]) == ("2026-08-30T12:00:00+00:00", True, 0)


def test_the_same_id_again_is_accepted_and_discarded(twin: Twin) -> None:
    assert [post_event(twin, value=value).status_code for value in (1, 2, 3)] == [202, 202, 202]
    assert [(row["value"], row["duplicates"]) for row in twin.events()] == [(1, 2)]


def test_an_id_counts_for_each_metric_and_each_person_alone(twin: Twin) -> None:
    for changes in ({}, {"metric": "Refunded Order"}, {"email": "other@shop.com"}, {"email": EMAIL.upper()}):
        post_event(twin, **changes)
    assert [(row["metric"], row["email"]) for row in twin.events()] == [
        ("Placed Order", EMAIL),
        ("Refunded Order", EMAIL),
        ("Placed Order", "other@shop.com"),
    ]


def test_an_id_in_properties_is_data_and_no_id(twin: Twin) -> None:
    for order in ({"unique_id": "1668"}, {"unique_id": None, "properties": {"$event_id": "1668"}}):
        post_event(twin, **order)
    assert len(twin.events()) == 2


def test_without_an_id_one_event_a_second_survives(twin: Twin) -> None:
    for second in ("00.1", "00.9", "01"):
        post_event(twin, unique_id=None, time=f"2026-08-30T12:00:{second}+00:00")
    assert [row["time"][17:19] for row in twin.events()] == ["00", "01"]


def test_a_job_repeating_what_is_stored_is_accepted_and_discarded(twin: Twin) -> None:
    post_event(twin)
    assert call(twin, "POST", "/api/event-bulk-create-jobs", bulk(({"email": EMAIL}, [{"unique_id": "1668"}]))).ok
    assert [row["duplicates"] for row in twin.events()] == [1]


@pytest.mark.parametrize("domain", ["example.com", "test.com", "EXAMPLE.com"])
def test_a_made_up_address_is_accepted_and_dropped(twin: Twin, domain: str) -> None:
    assert post_event(twin, email=f"someone@{domain}").status_code == 202
    assert (twin.events(), twin.profiles()) == ([], [])
    assert twin.state()["accounts"]["DemoA1"]["dropped"] == 1


def test_an_event_is_recorded_a_moment_after_it_was_accepted(twin: Twin) -> None:
    twin.settings(recording_ms=60_000)
    post_event(twin)
    assert read_events(twin) == []
    assert len(twin.events()) == 1
    assert len(read_events(twin)) == 1


def test_an_accepted_event_can_be_read_back_soon(twin: Twin) -> None:
    twin.settings(recording_ms=20)
    post_event(twin)
    time.sleep(0.03)
    shown = read_events(twin)[0]
    assert shown["attributes"]["event_properties"] == {"OrderId": "1253", "$event_id": "1668", "$value": 29.99}
    assert shown["attributes"]["timestamp"] == 1788091200
    assert shown["attributes"]["datetime"] == "2026-08-30 12:00:00+00:00"


def test_an_event_without_value_of_a_metric_that_had_one_shows_zero(twin: Twin) -> None:
    post_event(twin, value=None)
    twin.events()
    assert "$value" not in read_events(twin)[0]["attributes"]["event_properties"]
    post_event(twin, unique_id="2")
    twin.events()
    assert {row["attributes"]["event_properties"]["$value"] for row in read_events(twin)} == {0, 29.99}


def test_events_are_found_by_profile_metric_and_time(twin: Twin) -> None:
    for number, metric in ((1, "Placed Order"), (2, "Placed Order"), (3, "Refunded Order")):
        post_event(twin, metric=metric, unique_id=str(number), time=f"2026-08-0{number}T00:00:00Z")
    post_event(twin, email="other@shop.com")
    person = profile_id(twin)
    mine = read_events(twin, f'?filter=equals(profile_id,"{person}")&sort=datetime')
    assert [row["attributes"]["event_properties"]["$event_id"] for row in mine] == ["1", "2", "3"]
    metric_id = mine[2]["relationships"]["metric"]["data"]["id"]
    assert len(read_events(twin, f'?filter=equals(profile_id,"{person}"),equals(metric_id,"{metric_id}")')) == 1
    late = f'?filter=and(equals(profile_id,"{person}"),greater-or-equal(datetime,2026-08-02T00:00:00Z))'
    assert len(read_events(twin, late)) == 2


def test_events_come_in_pages_newest_first_with_what_is_included(twin: Twin) -> None:
    for number in range(1, 6):
        post_event(twin, unique_id=str(number), time=f"2026-08-0{number}T00:00:00Z")
    twin.events()
    first = call(twin, "GET", "/api/events?page[size]=3&include=metric,profile").json()
    assert [row["attributes"]["event_properties"]["$event_id"] for row in first["data"]] == ["5", "4", "3"]
    assert {row["type"] for row in first["included"]} == {"metric", "profile"}
    assert first["links"]["next"].startswith(twin.url)
    rest = call(twin, "GET", first["links"]["next"].removeprefix(twin.url)).json()
    assert [row["attributes"]["event_properties"]["$event_id"] for row in rest["data"]] == ["2", "1"]
    assert rest["links"]["next"] is None


def test_the_next_page_keeps_the_filter(twin: Twin) -> None:
    for email in ("one@shop.com", "two@shop.com"):
        post_event(twin, email=email)
        post_event(twin, email=email, unique_id="2")
    person = profile_id(twin, "two@shop.com")
    path = f'/api/events?filter=equals(profile_id,"{person}")&page[size]=1'
    whose = []
    while path:
        answer = call(twin, "GET", path).json()
        whose += [row["relationships"]["profile"]["data"]["id"] for row in answer["data"]]
        path = (answer["links"]["next"] or "").removeprefix(twin.url)
    assert whose == [person, person]


def test_profiles_are_sorted_as_asked(twin: Twin) -> None:
    for email in ("b@shop.com", "c@shop.com", "a@shop.com"):
        import_profile(twin, email=email)
    for sort, first in (("email", "a"), ("-email", "c"), ("created", "b")):
        shown = call(twin, "GET", f"/api/profiles?sort={sort}").json()["data"]
        assert shown[0]["attributes"]["email"] == f"{first}@shop.com"


def test_one_event_is_read_by_its_id(twin: Twin) -> None:
    post_event(twin)
    row = twin.events()[0]
    assert call(twin, "GET", f"/api/events/{row['id']}").json()["data"]["id"] == row["id"]
    assert call(twin, "GET", "/api/events/nothing").status_code == 404


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/api/events?page[size]=0", "page[size]"),
        ("/api/events?page[size]=1001", "page[size]"),
        ("/api/profiles?page[size]=101", "page[size]"),
        ("/api/lists?page[size]=11", "page[size]"),
        ("/api/metrics?page[size]=1", "page[size]"),
        ("/api/accounts?page[size]=1", "page[size]"),
        ("/api/events?include=profiless", "include"),
        ("/api/events?filter=equals(email,%22a%22)", "filter"),
        ("/api/profiles?filter=nonsense", "filter"),
        ("/api/events?sort=name", "sort"),
        ("/api/events?pagesize=1", "pagesize"),
    ],
)
def test_a_bad_query_parameter_is_named(twin: Twin, path: str, parameter: str) -> None:
    answer = call(twin, "GET", path)
    assert (answer.status_code, answer.json()["errors"][0]["source"]) == (400, {"parameter": parameter})


@pytest.mark.parametrize("clause", ["greater-than(datetime,soon)", "any(profile_id,7)", 'less-than(timestamp,"x")'])
def test_a_filter_that_compares_unlike_things_is_refused(twin: Twin, clause: str) -> None:
    post_event(twin)
    twin.events()
    assert call(twin, "GET", f"/api/events?filter={clause}").json()["errors"][0]["source"] == {"parameter": "filter"}


@pytest.mark.parametrize("path", ["/api/lists?page[size]=1", "/api/profiles?page[size]=1", "/api/events/?page[size]=1"])
def test_the_cheap_probes_answer(twin: Twin, path: str) -> None:
    answer = call(twin, "GET", path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/vnd.api+json"
    assert len(answer.json()["data"]) <= 1


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/api/nothing", 404), ("DELETE", "/api/events", 405)])
def test_what_is_not_there_is_said(twin: Twin, method: str, path: str, status: int) -> None:
    answer = call(twin, method, path)
    assert (answer.status_code, answer.headers["Cid"]) == (status, "DemoA1")


# Profiles


def test_a_profile_is_created_then_updated(twin: Twin) -> None:
    first, second = import_profile(twin, first_name="Sarah"), import_profile(twin, last_name="Mason")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["data"]["id"] == second.json()["data"]["id"]
    assert len(first.json()["data"]["id"]) == 26
    assert twin.profiles()[0]["attributes"]["first_name"] == "Sarah"


def test_a_write_echoes_only_the_email(twin: Twin) -> None:
    attributes = import_profile(twin, first_name="Sarah").json()["data"]["attributes"]
    assert (attributes["email"], attributes["first_name"]) == (EMAIL, None)


def test_null_clears_and_what_is_absent_stays(twin: Twin) -> None:
    import_profile(twin, first_name="Sarah", phone_number="+12025550123", properties={"CLV": "1", "Plan": "A"})
    import_profile(twin, phone_number=None, properties={"CLV": "2"})
    known = twin.profiles()[0]["attributes"]
    assert (known["first_name"], known["phone_number"]) == ("Sarah", None)
    assert known["properties"] == {"CLV": "2", "Plan": "A"}


def test_properties_can_be_appended_and_unset(twin: Twin) -> None:
    import_profile(twin, properties={"Shops": ["A"], "Old": "1"})
    body = profile()
    body["data"]["meta"] = {"patch_properties": {"append": {"Shops": "B"}, "unset": ["Old"]}}
    call(twin, "POST", "/api/profile-import", body)
    assert twin.profiles()[0]["attributes"]["properties"] == {"Shops": ["A", "B"]}


def test_an_event_creates_and_updates_its_profile(twin: Twin) -> None:
    post_event(twin, profile={"first_name": "Sarah", "properties": {"CLV": "1"}})
    post_event(twin, unique_id="2", profile={"properties": {"Plan": "A"}})
    (person,) = twin.profiles()
    assert person["attributes"]["first_name"] == "Sarah"
    assert person["attributes"]["properties"] == {"CLV": "1", "Plan": "A"}


def test_a_profile_is_found_by_email_in_any_case(twin: Twin) -> None:
    import_profile(twin, first_name="Sarah")
    twin.profiles()
    found = call(twin, "GET", f'/api/profiles?filter=equals(email,"{EMAIL.upper()}")').json()["data"]
    assert [row["attributes"]["first_name"] for row in found] == ["Sarah"]
    assert call(twin, "GET", '/api/profiles?filter=equals(email,"nobody@shop.com")').json()["data"] == []


def test_create_only_refuses_who_is_known_and_names_them(twin: Twin) -> None:
    known = call(twin, "POST", "/api/profiles", profile()).json()["data"]["id"]
    answer = call(twin, "POST", "/api/profiles", profile())
    assert answer.status_code == 409
    error = answer.json()["errors"][0]
    assert (error["code"], error["meta"]) == ("duplicate_profile", {"duplicate_profile_id": known})
    assert error["source"] == {"pointer": "/data/attributes"}


def test_a_phone_of_somebody_else_is_409_when_switched_so(twin: Twin) -> None:
    import_profile(twin, phone_number="+12025550123")
    import_profile(twin, email="other@shop.com")
    twin.settings(duplicate_profile="conflict")
    answer = import_profile(twin, email="other@shop.com", phone_number="+12025550123")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "duplicate_profile")
    assert import_profile(twin, email="other@shop.com").status_code == 200
    twin.settings(duplicate_profile="merge")
    assert import_profile(twin, email="other@shop.com", phone_number="+12025550123").status_code == 200


def test_two_people_with_one_phone_stay_two(twin: Twin) -> None:
    for email in (EMAIL, "other@shop.com"):
        post_event(twin, email=email, profile={"phone_number": "+12025550123"})
    assert [row["email"] for row in twin.profiles()] == [EMAIL, "other@shop.com"]
    assert len(twin.events()) == 2


def test_a_phone_alone_finds_its_owner(twin: Twin) -> None:
    import_profile(twin, phone_number="+12025550123")
    post_event(twin, email=None, profile={"phone_number": "+12025550123"})
    assert [row["email"] for row in twin.profiles()] == [EMAIL]
    assert twin.events()[0]["profile_id"] == profile_id(twin)


def test_a_profile_is_read_and_patched_by_its_id(twin: Twin) -> None:
    import_profile(twin)
    person = profile_id(twin)
    body = profile(first_name="Sarah")
    assert call(twin, "PATCH", f"/api/profiles/{person}", body).status_code == 200
    twin.profiles()
    shown = call(twin, "GET", f"/api/profiles/{person}?fields[profile]=first_name").json()["data"]
    assert shown["attributes"] == {"first_name": "Sarah"}


def test_an_unknown_profile_draws_the_recorded_words(twin: Twin) -> None:
    error = call(twin, "GET", "/api/profiles/invalid").json()["errors"][0]
    assert (error["code"], error["detail"]) == ("not_found", "A profile with id invalid does not exist.")


def test_a_deletion_forgets_the_person_and_their_events(twin: Twin) -> None:
    post_event(twin)
    post_event(twin, email="other@shop.com")
    twin.events()
    body = {
        "data": {
            "type": "data-privacy-deletion-job",
            "attributes": {"profile": {"data": {"type": "profile", "attributes": {"email": EMAIL}}}},
        }
    }
    assert call(twin, "POST", "/api/data-privacy-deletion-jobs", body).status_code == 202
    assert [row["email"] for row in twin.events()] == ["other@shop.com"]
    assert [row["email"] for row in twin.profiles()] == ["other@shop.com"]


def test_metrics_appear_with_their_first_event(twin: Twin) -> None:
    assert call(twin, "GET", "/api/metrics").json()["data"] == []
    post_event(twin)
    twin.events()
    assert [row["attributes"]["name"] for row in call(twin, "GET", "/api/metrics").json()["data"]] == ["Placed Order"]


def test_an_account_names_itself(twin: Twin) -> None:
    shown = call(twin, "GET", "/api/accounts", key=twin.key("Abc123")).json()["data"][0]
    assert (shown["id"], shown["attributes"]["public_api_key"]) == ("Abc123", "Abc123")


def test_what_was_refused_is_not_recorded(twin: Twin) -> None:
    call(twin, "POST", "/api/events", event(value="1"))
    assert twin.events() == []
