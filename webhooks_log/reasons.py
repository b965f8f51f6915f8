"""Why a Delivery waits, failed or was skipped: one code, one sentence for the merchant, one thing to do.

Dispatch and the lanes write the code; the Webhooks tab, `explain` and the API say the sentence. What an answer of Klaviyo
means stands in `webhooks_log.verdicts`, whose names are codes too.
"""

from dataclasses import dataclass

from webhooks_log.verdicts import BY_NAME


@dataclass(frozen=True, slots=True)
class Reason:
    code: str
    sentence: str
    advice: str


# fmt: off
REASONS = (
    # Waiting
    Reason("customer_unknown",    "Vrio has not told us this customer's e-mail yet. It goes out with the first event that does.",
           "Nothing for 72 hours. After that it is skipped; an order or transaction of the customer still releases it."),
    Reason("campaign_unknown",    "We do not know yet which campaign this belongs to, and this connection sends only some.",
           "Nothing for 72 hours. An order or transaction that names the campaign releases it."),
    Reason("profile_pause",       "Waiting a few seconds for an event that carries the same profile.", "Nothing."),
    Reason("retrying",            "The last try failed. The next one is planned.", "Nothing, or use Try now."),
    Reason("behind",              "An earlier message of the same customer goes first.", "Nothing."),
    Reason("connection_off",      "The connection is switched off, or Push Events is.", "Switch it on; everything waiting goes out by itself."),
    Reason("breaker_open",        "Klaviyo is failing. We probe with one message at a time until it recovers.", "Nothing."),
    Reason("interrupted",         "The worker stopped while it held this message. It may or may not have been sent; repeating it cannot count twice.", "Nothing."),
    Reason("profile_refresh",     "An older message reached Klaviyo after a newer one; the customer's profile is put right.", "Nothing."),
    Reason("replay_paused",       "Somebody paused the replay it belongs to.", "Resume or stop the replay."),
    # Skipped
    Reason("connection_inactive", "The connection was not active.", "Switch it on, then send past events."),
    Reason("push_off",            "Push Events was off at the connection.", "Switch it on, then send past events."),
    Reason("campaign_excluded",   "The campaign is not among those this connection sends.", "Add the campaign at the connection, or leave the list empty to send all."),
    Reason("no_email",            "The customer has no valid e-mail address, and Klaviyo needs one.", "Add the e-mail address in Vrio."),
    Reason("dropped_domain",      "Klaviyo silently drops messages to this kind of test address.", "Use a real address."),
    Reason("test_order",          "It is a test order.", "Switch on Send test orders at the connection if you want them."),
    Reason("erased",              "The customer was erased at their own wish.", "Nothing."),
    Reason("too_large",           "It is larger than Klaviyo takes.", "Ask our support with the link to this page."),
    Reason("outside_time",        "It happened at a time that Klaviyo does not take.", "Correct the date in Vrio."),
    Reason("already_told",        "Klaviyo has been told this already by another event.", "Nothing."),
    Reason("carried",             "Another event carried the same profile.", "Nothing."),
    Reason("never_named",         "Vrio did not tell us this customer's e-mail within 72 hours.", "Nothing; an order of the customer still releases it."),
    Reason("campaign_never_told", "Vrio did not tell us within 72 hours which campaign this belongs to.", "Nothing; an order that names the campaign still releases it."),
    Reason("account_changed",     "The connection was moved to another Klaviyo account before this was sent.", "Nothing, or send past events to the new account."),
    Reason("archived",            "The connection was archived before this was sent.", "Nothing."),
    Reason("stopped",             "Somebody stopped the retries.", "Use Send again if it is wanted after all."),
    # Failed
    Reason("exhausted",           "All tries were used up over about three days.", "Look at the last answer, mend the cause, then send again."),
    Reason("poisoned",            "The worker stopped three times while this was being sent.", "Ask our support with the link to this page."),
    Reason("fault",               "A fault of ours stopped this message. We have been told.", "Ask our support with the link to this page."),
    Reason("refused_again",       "Klaviyo refused it again without the phone number.", "Read Klaviyo's answer."),
)
# fmt: on

_BY_CODE = {reason.code: reason for reason in REASONS}


def reason_for(code: str) -> Reason:
    """The words for a code of ours or a verdict's name; raises KeyError for a code nobody defined."""
    if code in _BY_CODE:
        return _BY_CODE[code]
    verdict = BY_NAME[code]
    return Reason(code, verdict.sentence, verdict.advice)


def sentence(code: str) -> str:
    """The sentence for a code; "" for none."""
    return reason_for(code).sentence if code else ""
