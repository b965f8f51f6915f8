"""THE OTHER TABLE: what Klaviyo's answers mean, what we do then, and what the merchant reads about it.

At the corridor's end a lane asks `judge` about every Exchange. The help page, the README and the Webhooks tab show the
same rows. The first row whose answer matches decides; the last two match everything. A phone refusal is read from the
error's pointer, from English text only where there is no pointer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from math import ceil, isinf, isnan, nan

from connections.klaviyo.exchange import Exchange, Problem, Silence


class Then(StrEnum):
    """What a lane does with a Delivery after an answer."""

    DELIVERED = "delivered"
    NOW_WITHOUT_PHONE = "again at once, without the phone number, once"
    LATER = "again later, on the retry ladder"
    WAIT = "again when Klaviyo said, the whole lane waits, no try is used up"
    HOLD_CONNECTION = "held until the key works, no try is used up"
    HOLD_FAMILY = "held until the key may do this, no try is used up"
    FAILED = "failed, not repeated"


@dataclass(frozen=True, slots=True)
class Answer:
    """An Exchange as the table's tests see it."""

    status: int
    silence: Silence | None
    is_html: bool
    problems: tuple[Problem, ...]
    dropped: str  # the partial-failure header


@dataclass(frozen=True, slots=True)
class Verdict:
    name: str
    answer: str
    matches: Callable[[Answer], bool]
    then: Then
    sentence: str
    advice: str


def judge(exchange: Exchange) -> Verdict:
    """The row that an Exchange falls under. Never raises: the last row takes whatever is left."""
    return judge_answer(read(exchange))


def judge_answer(answer: Answer) -> Verdict:
    return next(verdict for verdict in VERDICTS if verdict.matches(answer))


def read(exchange: Exchange) -> Answer:
    """What the tests need of an Exchange; the answer's body is parsed only where it can matter."""
    status = exchange.status or 0
    failed = status >= 400 and exchange.silence is None
    return Answer(
        status=status,
        silence=exchange.silence,
        is_html=failed and exchange.is_html,
        problems=exchange.problems() if failed else (),
        dropped=exchange.header("X-Klaviyo-Partial-Failure"),
    )


# ── What the tests say ───────────────────────────────────────────────────────────────────────────────────────────────
def silent(*kinds: Silence) -> Callable[[Answer], bool]:
    return lambda answer: answer.silence in kinds


def status(*codes: int) -> Callable[[Answer], bool]:
    return lambda answer: answer.silence is None and answer.status in codes


def between(low: int, high: int) -> Callable[[Answer], bool]:
    return lambda answer: answer.silence is None and low <= answer.status <= high


def html(*codes: int) -> Callable[[Answer], bool]:
    return lambda answer: answer.is_html and answer.status in codes


def without_phone(answer: Answer) -> bool:
    return answer.silence is None and 200 <= answer.status <= 299 and "phone_number" in answer.dropped


def names_phone(answer: Answer) -> bool:
    return answer.status == 400 and any(is_about_phone(problem) for problem in answer.problems)


def names_email(answer: Answer) -> bool:
    return answer.status == 400 and any(problem.pointer.endswith("/email") for problem in answer.problems)


def anything(_: Answer) -> bool:
    return True


def is_about_phone(problem: Problem) -> bool:
    """Whether Klaviyo refuses the phone number: by the pointer's last segment, by the text only without a pointer."""
    if problem.pointer.strip("/") and problem.pointer != "/data":
        return problem.pointer.rpartition("/")[2] in ("phone_number", "$phone_number")
    return problem.code == "invalid" and "phone number" in problem.detail.lower()


# fmt: off
_L, _F = Then.LATER, Then.FAILED

VERDICTS = (
    #       name                 the answer                     matches                                then
    #       what the merchant reads                                                                    what to do
    Verdict("phone_ignored",     "2xx, phone_number dropped",   without_phone,                         Then.DELIVERED,
            "Klaviyo accepted this and ignored the phone number.",
            "Correct the phone number at the customer if you send text messages."),
    Verdict("accepted",          "2xx",                         between(200, 299),                     Then.DELIVERED,
            "Accepted by Klaviyo.",
            "Nothing."),
    Verdict("phone_refused",     "400, pointer to the phone",   names_phone,                           Then.NOW_WITHOUT_PHONE,
            "Klaviyo refused the phone number. It was sent again at once without it.",
            "Correct the phone number at the customer if you send text messages."),
    Verdict("duplicate_profile", "409",                         status(409),                           Then.NOW_WITHOUT_PHONE,
            "E-mail and phone number belong to two different profiles at Klaviyo. It was sent again at once without the phone.",
            "Merge the two profiles in Klaviyo."),
    Verdict("throttled",         "429",                         status(429),                           Then.WAIT,
            "Klaviyo asked us to slow down. It goes out by itself when the time named is over.",
            "Nothing. If it happens often, another tool is using up this account's limit."),
    Verdict("key_refused",       "401",                         status(401),                           Then.HOLD_CONNECTION,
            "Klaviyo does not accept the private API key of this connection.",
            "Create a new private key in Klaviyo and enter it at the connection. Everything held goes out by itself."),
    Verdict("edge_blocked",      "403 with a web page",         html(403),                             _L,
            "Klaviyo's protection against bots stopped the call before it reached Klaviyo.",
            "Nothing at first. If it lasts for hours, ask Klaviyo's support, naming the request id."),
    Verdict("scope_missing",     "403",                         status(403),                           Then.HOLD_FAMILY,
            "The private API key is valid, but is not allowed to do this.",
            "Create a private key with full access to Events, Lists and Profiles and enter it at the connection."),
    Verdict("email_refused",     "400, pointer to the e-mail",  names_email,                           _F,
            "Klaviyo refused the e-mail address.",
            "Correct the e-mail address at the customer, then send again."),
    Verdict("rejected",          "400, 422",                    status(400, 422),                      _F,
            "Klaviyo refused the content. Its own words stand in the answer below.",
            "Read Klaviyo's answer. If it is not clear, ask our support with the link to this page."),
    Verdict("answered_late",     "408",                         status(408),                           _L,
            "Klaviyo waited for our request and gave up.",
            "Nothing. It is tried again."),
    Verdict("too_large",         "413",                         status(413),                           _F,
            "Klaviyo refused the message because it is too large.",
            "Ask our support with the link to this page."),
    Verdict("revision_retired",  "410",                         status(410),                           _F,
            "Klaviyo no longer serves the version of its interface that we use.",
            "Ask our support: Viaduct needs an update."),
    Verdict("not_offered",       "404, 405, 415",               status(404, 405, 415),                 _F,
            "Klaviyo does not know this address or this kind of content.",
            "Ask our support: Viaduct needs an update."),
    Verdict("redirected",        "3xx",                         between(300, 399),                     _L,
            "Klaviyo pointed to another address. We never follow, so that your key goes nowhere else.",
            "Nothing. If it lasts for hours, look at Klaviyo's status page."),
    Verdict("edge_fault",        "502, 520 to 530",             lambda a: status(502)(a) or between(520, 530)(a), _L,
            "The network in front of Klaviyo reported a fault.",
            "Nothing. It is tried again."),
    Verdict("server_fault",      "5xx",                         between(500, 599),                     _L,
            "Klaviyo had a fault of its own.",
            "Nothing. It is tried again. Klaviyo's status page tells more if it lasts."),
    Verdict("refused",           "other 4xx",                   between(400, 499),                     _F,
            "Klaviyo refused the call. Its own words stand in the answer below.",
            "Read Klaviyo's answer, or ask our support with the link to this page."),
    Verdict("no_answer",         "no answer in time",           silent(Silence.TIMEOUT),               _L,
            "Klaviyo did not answer in time. It may have been received; repeating it cannot count twice.",
            "Nothing. It is tried again."),
    Verdict("cut_off",           "cut off, or without end",     silent(Silence.CUT_OFF, Silence.ENDLESS, Silence.RESET), _L,
            "The answer broke off. It may have been received; repeating it cannot count twice.",
            "Nothing. It is tried again."),
    Verdict("not_resolved",      "no such host",                silent(Silence.DNS),                   _L,
            "Klaviyo's address could not be found.",
            "Nothing. If it lasts, our network has a fault."),
    Verdict("not_secure",        "no secure connection",        silent(Silence.TLS),                   _L,
            "No secure connection to Klaviyo could be made, so nothing was sent.",
            "Nothing. If it lasts, our network has a fault."),
    Verdict("address_refused",   "an address we do not call",   silent(Silence.ADDRESS),               _L,
            "Klaviyo's name led to an address that we do not call, so nothing was sent.",
            "Nothing. If it lasts, our network has a fault."),
    Verdict("unreachable",       "no connection",               silent(Silence.CONNECT),               _L,
            "Klaviyo could not be reached.",
            "Nothing. It is tried again."),
    Verdict("not_understood",    "anything else",               anything,                              _L,
            "Klaviyo answered something we do not understand.",
            "Nothing at first. If it lasts, ask our support with the link to this page."),
)
# fmt: on

# Never an answer of its own: what the others read of a bulk job that Klaviyo refused for some of its items.
JOB_REFUSED = Verdict(
    "job_refused",
    "a bulk job refused for another item",
    lambda _: False,
    Then.LATER,
    "Klaviyo refused the bulk job because of another message in it, and took none. This one goes again at once.",
    "Nothing.",
)
BY_NAME = {verdict.name: verdict for verdict in (*VERDICTS, JOB_REFUSED)}
INTERRUPTED = "interrupted"  # an Attempt without an Exchange: the worker died between claim and settlement
FAULT = "fault"  # our own fault while working on the row
MOST_SECONDS = 86_400  # of a Retry-After: its longest quotas are daily, and a garbled number must not stop an account


def retry_after_seconds(exchange: Exchange) -> float | None:
    """The wait that Klaviyo names: whole seconds, a fraction rounded up, or an HTTP date; None when it names none.

    Counted from the answer, never negative, and cut to `MOST_SECONDS`.
    """
    value = exchange.header("Retry-After").strip()
    answered_at = exchange.started_at + timedelta(milliseconds=exchange.duration_ms)
    try:
        named = float(value)
    except ValueError:
        named = _until(value, answered_at)
    return None if isnan(named) or isinf(named) else float(min(max(0, ceil(named)), MOST_SECONDS))


def _until(date: str, since: datetime) -> float:
    """Seconds until an HTTP date; not a number if it is none."""
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return nan
    # Two of the three forms HTTP allows name no zone: it is UTC.
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - since).total_seconds()
