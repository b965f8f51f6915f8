"""From what the calls showed to one state with its fix. Pure: findings in, words out.

Under the doctor, who adds what only our own records know.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from connections.probes import Finding, Outcome

REPLACE = (
    "In Klaviyo open Account → Settings → API keys, create a private key with full access to Events, Lists and "
    "Profiles, and enter it here. The scopes of an existing key cannot be changed."
)


_UNANSWERED = (Outcome.SILENT, Outcome.BUSY)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`state` is a value of Connection.State; `held_families` are the kinds of call that must wait for another key."""

    state: str
    sentence: str
    fix: str
    held_families: tuple[str, ...] = ()
    is_answered: bool = True  # whether the key itself was judged, so that holds may change
    is_busy: bool = False  # says nothing against a key that worked an hour ago


def diagnose(findings: Sequence[Finding] | None, *, key_is_lost: bool = False) -> Diagnosis:
    """The first of these that holds: key lost, refused, blocked, silent, a scope missing, connected."""
    if key_is_lost or findings is None:
        return Diagnosis(
            "key_lost",
            "The stored key cannot be decrypted any more, because the key it was encrypted with is gone.",
            "Enter the private API key again. Whoever runs Viaduct can also put the lost entry of FIELD_KEYS back.",
        )
    outcomes = {finding.outcome for finding in findings}
    if Outcome.REFUSED in outcomes:
        return Diagnosis(
            "key_refused",
            "Klaviyo does not accept this private API key. It was deleted or mistyped, or is a public key.",
            f"Copy the key again, or make a new one. {REPLACE}",
        )
    if Outcome.EDGE in outcomes:
        return Diagnosis(
            "edge_blocked",
            "Klaviyo's protection against bots stopped the call before it reached Klaviyo. The key was not judged.",
            "It is asked again in five minutes. If it lasts, whoever runs Viaduct should ask Klaviyo to let it pass.",
            is_answered=False,
        )
    if waits := [finding for finding in findings if finding.is_needed and finding.outcome in _UNANSWERED]:
        return _unanswered(waits[0])
    return _answered(findings)


def _unanswered(silent: Finding) -> Diagnosis:
    if silent.outcome == Outcome.BUSY:
        return Diagnosis(
            "unreachable",
            "Klaviyo's limit for this account is used up at the moment, so the key could not be judged.",
            "Nothing to do: it is asked again in five minutes.",
            is_answered=False,
            is_busy=True,
        )
    return Diagnosis(
        "unreachable",
        f"Klaviyo cannot be reached: {silent.detail}. The key was not judged.",
        "Nothing to do: it is asked again in five minutes, and events wait safely meanwhile.",
        is_answered=False,
    )


def _answered(findings: Sequence[Finding]) -> Diagnosis:
    needed = [finding for finding in findings if finding.is_needed and finding.outcome == Outcome.MISSING]
    if needed:
        scopes = ", ".join(finding.scope for finding in needed)
        return Diagnosis(
            "scope_missing",
            f"Scope missing: {scopes}. The key is valid, but not allowed to do everything that is needed.",
            REPLACE,
            tuple(finding.family for finding in needed if finding.family),
        )
    return Diagnosis("connected", "Klaviyo accepts this key.", "")
