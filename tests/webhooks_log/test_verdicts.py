"""Every answer Klaviyo is known to give, written down by hand beside the row of the table it must fall under."""

import json
from datetime import UTC, datetime

import pytest

from connections.klaviyo.exchange import Exchange, Silence
from webhooks_log.reasons import reason_for
from webhooks_log.verdicts import MOST_SECONDS, VERDICTS, Then, judge, retry_after_seconds

STARTED_AT = datetime(2026, 11, 20, 15, 0, 0, tzinfo=UTC)
JSON_API = "application/vnd.api+json"
BAD_PHONE = "Invalid phone number format (Example of a valid format: +12345678901)"
PROFILE_PHONE = "/data/attributes/phone_number"
EVENT_PHONE = "/data/attributes/profile/data/attributes/phone_number"
LEGACY_PHONE = "/data/attributes/profile/data/attributes/properties/$phone_number"
BULK_PHONE = "/data/attributes/events-bulk-create/data/0/attributes/profile/data/attributes/phone_number"
NOT_YOURS = "You do not have permission to perform this action."
EDGE_PAGE = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>"


def exchange(status: int | None, answer: bytes = b"", silence: Silence | None = None, **headers: str) -> Exchange:
    given = {"Content-Type": JSON_API, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Exchange(
        method="POST", url="https://a.klaviyo.com/api/events", request_headers=(), body=b"{}", started_at=STARTED_AT,
        duration_ms=0, status=status, response_headers=tuple(given.items()), answer=answer, silence=silence,
    )  # fmt: skip


def errors(status: int, code: str, detail: str = "", pointer: str | None = None, **source: str) -> Exchange:
    source = source | ({"pointer": pointer} if pointer is not None else {})
    error = {"id": "53ce68ce", "status": status, "code": code, "title": "Invalid input.", "detail": detail}
    return exchange(status, json.dumps({"errors": [error | {"source": source}]}).encode())


# fmt: off
ANSWERS = (
    #  what comes                                                                           the row              then
    (exchange(200),                                                                         "accepted",          Then.DELIVERED),
    (exchange(201, b'{"data": {}}'),                                                        "accepted",          Then.DELIVERED),
    (exchange(202),                                                                         "accepted",          Then.DELIVERED),
    (exchange(202, X_Klaviyo_Partial_Failure="phone_number"),                               "phone_ignored",     Then.DELIVERED),
    (errors(400, "invalid", BAD_PHONE, PROFILE_PHONE),                                      "phone_refused",     Then.NOW_WITHOUT_PHONE),
    (errors(400, "invalid", BAD_PHONE, EVENT_PHONE),                                        "phone_refused",     Then.NOW_WITHOUT_PHONE),
    (errors(400, "invalid", BAD_PHONE, LEGACY_PHONE),                                       "phone_refused",     Then.NOW_WITHOUT_PHONE),
    (errors(400, "invalid", BAD_PHONE, BULK_PHONE),                                         "phone_refused",     Then.NOW_WITHOUT_PHONE),
    (errors(400, "invalid", BAD_PHONE),                                                     "phone_refused",     Then.NOW_WITHOUT_PHONE),
    (errors(400, "invalid", BAD_PHONE, "/data"),                                            "phone_refused",     Then.NOW_WITHOUT_PHONE),
    (errors(400, "invalid", BAD_PHONE, "/data/attributes/email"),                           "email_refused",     Then.FAILED),
    (errors(400, "invalid", "Invalid input.", "/data/attributes/phone_number_note"),        "rejected",          Then.FAILED),
    (errors(400, "invalid", "Invalid email address", "/data/attributes/email"),             "email_refused",     Then.FAILED),
    (errors(400, "invalid", "Invalid email address", "/data/attributes/profile/data/attributes/email"), "email_refused", Then.FAILED),
    (errors(400, "invalid", "One or more identifiers is required"),                         "rejected",          Then.FAILED),
    (errors(400, "invalid", "One of `attributes`, `relationships` or `id` must be included in the request payload.", "/data"), "rejected", Then.FAILED),
    (errors(400, "invalid", "'x' is not a valid field for the resource 'event'."),          "rejected",          Then.FAILED),
    (errors(400, "invalid", "'profiless' is not an allowed include parameter.", parameter="include"), "rejected", Then.FAILED),
    (exchange(400, b"not json"),                                                            "rejected",          Then.FAILED),
    (exchange(422),                                                                         "rejected",          Then.FAILED),
    (errors(401, "not_authenticated", "Missing or invalid private key.", "/data/"),         "key_refused",       Then.HOLD_CONNECTION),
    (errors(401, "not_authenticated", "Missing or invalid authorization scheme."),          "key_refused",       Then.HOLD_CONNECTION),
    (errors(401, "authentication_failed"),                                                  "key_refused",       Then.HOLD_CONNECTION),
    (errors(403, "permission_denied", "Your API key is missing required scopes: events:write", "/data/"), "scope_missing", Then.HOLD_FAMILY),
    (errors(403, "permission_denied", NOT_YOURS, "/data/"),                                 "scope_missing",     Then.HOLD_FAMILY),
    (exchange(403, EDGE_PAGE, Content_Type="text/html; charset=UTF-8"),                     "edge_blocked",      Then.LATER),
    (exchange(403, EDGE_PAGE, Content_Type=""),                                             "edge_blocked",      Then.LATER),
    (errors(404, "not_found", "A profile with id invalid does not exist.", "/data/"),       "not_offered",       Then.FAILED),
    (exchange(405),                                                                         "not_offered",       Then.FAILED),
    (exchange(415),                                                                         "not_offered",       Then.FAILED),
    (errors(409, "duplicate_profile", "A profile already exists with one of these identifiers.", "/data/attributes"), "duplicate_profile", Then.NOW_WITHOUT_PHONE),
    (exchange(410),                                                                         "revision_retired",  Then.FAILED),
    (exchange(413, EDGE_PAGE, Content_Type="text/html"),                                    "too_large",         Then.FAILED),
    (errors(429, "throttled", "Request was throttled. Expected available in 1 second.", "/data"), "throttled",   Then.WAIT),
    (exchange(429, EDGE_PAGE, Content_Type="text/html"),                                    "throttled",         Then.WAIT),
    (exchange(408),                                                                         "answered_late",     Then.LATER),
    (exchange(418),                                                                         "refused",           Then.FAILED),
    (exchange(500),                                                                         "server_fault",      Then.LATER),
    (exchange(503, EDGE_PAGE, Content_Type="text/html"),                                    "server_fault",      Then.LATER),
    (exchange(504),                                                                         "server_fault",      Then.LATER),
    (exchange(502, EDGE_PAGE, Content_Type="text/html"),                                    "edge_fault",        Then.LATER),
    *((exchange(code, EDGE_PAGE, Content_Type="text/html"),                                 "edge_fault",        Then.LATER) for code in range(520, 531)),
    (exchange(301, Location="https://elsewhere.klaviyo-demo.com/"),                         "redirected",        Then.LATER),
    (exchange(307),                                                                         "redirected",        Then.LATER),
    (exchange(101),                                                                         "not_understood",    Then.LATER),
    (exchange(999),                                                                         "not_understood",    Then.LATER),
    (exchange(None, silence=Silence.TIMEOUT),                                               "no_answer",         Then.LATER),
    (exchange(202, b"{", silence=Silence.TIMEOUT),                                          "no_answer",         Then.LATER),
    (exchange(None, silence=Silence.RESET),                                                 "cut_off",           Then.LATER),
    (exchange(202, b"{", silence=Silence.CUT_OFF),                                          "cut_off",           Then.LATER),
    (exchange(400, b"{", silence=Silence.CUT_OFF),                                          "cut_off",           Then.LATER),
    (exchange(200, b"x", silence=Silence.ENDLESS),                                          "cut_off",           Then.LATER),
    (exchange(None, silence=Silence.DNS),                                                   "not_resolved",      Then.LATER),
    (exchange(None, silence=Silence.TLS),                                                   "not_secure",        Then.LATER),
    (exchange(None, silence=Silence.ADDRESS),                                               "address_refused",   Then.LATER),
    (exchange(None, silence=Silence.CONNECT),                                               "unreachable",       Then.LATER),
)
# fmt: on


@pytest.mark.parametrize(
    ("answer", "name", "then"), ANSWERS, ids=[f"{number}-{a[1]}" for number, a in enumerate(ANSWERS)]
)
def test_an_answer_falls_under_its_row(answer: Exchange, name: str, then: Then) -> None:
    verdict = judge(answer)
    assert (verdict.name, verdict.then) == (name, then)


def test_every_row_of_the_table_is_met_by_some_answer() -> None:
    assert {verdict.name for verdict in VERDICTS} == {name for _, name, _ in ANSWERS}


def test_one_phone_error_among_others_is_enough() -> None:
    both = [{"code": "invalid", "source": {"pointer": pointer}} for pointer in ("/data/attributes/email", EVENT_PHONE)]
    assert judge(exchange(400, json.dumps({"errors": both}).encode())).name == "phone_refused"


@pytest.mark.parametrize(
    "document",
    [b"[]", b"null", b'"errors"', b'{"errors": {}}', b'{"errors": [7, null]}', b'{"errors": [{"source": 7}]}',
     b'{"errors": [{"source": {"pointer": 7}}]}', b"\xff\xfe", b"[" * 100_000, b"9" * 5000],
    ids=lambda document: repr(document[:24]),
)  # fmt: skip
def test_no_document_whatever_it_holds_is_too_strange_to_judge(document: bytes) -> None:
    assert judge(exchange(400, document)).name == "rejected"


def test_each_verdict_has_words_for_the_merchant_and_a_name_of_its_own() -> None:
    assert len({verdict.name for verdict in VERDICTS}) == len(VERDICTS)
    assert all(verdict.sentence.endswith(".") and verdict.advice.endswith(".") for verdict in VERDICTS)
    assert all(reason_for(verdict.name).sentence for verdict in VERDICTS)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1", 1.0),
        (" 30 ", 30.0),
        ("0", 0.0),
        ("0.2", 1.0),
        ("12.5", 13.0),
        ("-7", 0.0),
        ("Fri, 20 Nov 2026 15:00:40 GMT", 40.0),
        ("Friday, 20-Nov-26 15:00:40 GMT", 40.0),
        ("Fri Nov 20 15:00:40 2026", 40.0),
        ("Fri, 20 Nov 2026 15:00:40 -0000", 40.0),
        ("Fri, 20 Nov 2026 10:00:40 -0500", 40.0),
        ("Fri, 20 Nov 2026 14:59:00 GMT", 0.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("", None),
    ],
)
def test_retry_after_is_read_in_every_form(value: str, seconds: float | None) -> None:
    assert retry_after_seconds(exchange(429, Retry_After=value)) == seconds


def test_a_429_without_retry_after_names_no_wait() -> None:
    assert retry_after_seconds(exchange(429)) is None


@pytest.mark.parametrize("value", ["1e18", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_an_absurd_wait_is_cut_to_the_longest_we_obey(value: str) -> None:
    assert retry_after_seconds(exchange(429, Retry_After=value)) == MOST_SECONDS
