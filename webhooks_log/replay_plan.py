"""Counts before acting: what a replay of a selection would take, a few of its rows, and its effect in sentences.

Asked by pages and `manage.py replay` before anything starts, and by a replay for its next rows.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, QuerySet

from connections import turns
from connections.models import Connection, Merchant
from events.models import Customer, Event
from webhooks_log.again import SETTLED_BY_OTHERS, Refused
from webhooks_log.claim import RETRYING
from webhooks_log.models import Delivery, Replay
from webhooks_log.release import past_before
from webhooks_log.selection import Selection, rows_of

State = Delivery.State
SAMPLE = 5
SKIPPED_FOR_NOW = Q(state=State.SKIPPED) & ~Q(reason__in=(*SETTLED_BY_OTHERS, "erased"))


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replay would do: how many rows, a few of them, and the effect in sentences."""

    merchant: Merchant
    count: int
    sample: list[Delivery]
    effect: tuple[str, ...]
    last_id: int  # newer rows are not part of it


def plan(
    selection: Selection,
    *,
    merchant: Merchant | None = None,
    translates_anew: bool = False,
    includes_delivered: bool = False,
    backfill: bool | None = None,
) -> Plan:
    """Count before acting. Raises Refused if the selection is not about one merchant; name it where it is not said."""
    owner = merchant or merchant_of(selection)
    last_id = Delivery.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    rows = selected(selection, owner, includes_delivered=includes_delivered, last_id=last_id)
    counts = rows.aggregate(**_counts(backfill, turns.database_now()))
    sample = list(rows.select_related("connection").defer("draft").order_by("-pk")[:SAMPLE])
    return Plan(owner, counts["all"], sample, tuple(_effect(counts, translates_anew)), last_id)


def selected(
    selection: Selection, merchant: Merchant, *, includes_delivered: bool, last_id: int | None = None
) -> QuerySet[Delivery]:
    """The rows of a selection that a replay takes: what failed, was skipped, or waits for another try."""
    takes = Q(state=State.FAILED) | Q(state=State.WAITING, reason__in=RETRYING) | Q(SKIPPED_FOR_NOW)
    if includes_delivered:
        takes |= Q(state=State.DELIVERED)
    bound = Q() if last_id is None else Q(pk__lte=last_id)
    living = Connection.objects.living().filter(merchant=merchant)
    return rows_of(selection, merchant).filter(takes, bound, connection__in=living)


def merchant_of(selection: Selection) -> Merchant:
    """The one merchant whose rows a selection names; raises Refused where it names none."""
    if selection.merchant:
        return Merchant.objects.get(slug=selection.merchant)
    named: tuple[tuple[int | None, type[Customer | Connection | Event | Replay]], ...] = (
        (selection.customer, Customer),
        (selection.connection, Connection),
        (selection.event, Event),
        (selection.replay, Replay),
    )
    for pk, model in named:
        if pk:
            return model._default_manager.select_related("merchant").get(pk=pk).merchant
    raise Refused("Choose one merchant first.")


def _counts(backfill: bool | None, now: datetime) -> dict[str, Count]:
    old = Q(happened_at__lt=past_before(now))
    marked = Q(backfill=True) | (old if backfill is None else Q(pk__isnull=not backfill))
    told = Q(state=State.DELIVERED)
    return {
        "all": Count("pk"),
        "new": Count("pk", filter=~told & ~Q(metric="")),
        "duplicates": Count("pk", filter=told & ~Q(metric="")),
        "profiles": Count("pk", filter=Q(metric="")),
        "marked": Count("pk", filter=marked & ~Q(metric="")),
        "judged": Count("pk", filter=Q(state=State.SKIPPED)),
        "waiting": Count("pk", filter=Q(state=State.WAITING)),
        "expired": Count("pk", filter=Q(body__isnull=False, body__content=None)),
    }


def _effect(counts: dict[str, int], translates_anew: bool) -> list[str]:
    say = {
        "new": "{} would be new at Klaviyo.",
        "duplicates": "{} were accepted before: they carry the same ids, and Klaviyo discards them as duplicates.",
        "profiles": "{} update a profile with what is known today.",
        "marked": "{} carry Klaviyo's mark for past events (backfill), so that they start no flow.",
        "judged": "{} had been skipped. Each is judged again and goes only if nothing stands in its way any more.",
        "waiting": "{} wait for another try. They go now instead.",
    }
    told = [words.format(f"{counts[name]:,}") for name, words in say.items() if counts[name]]
    if counts["expired"] and not translates_anew:
        told.append(f"{counts['expired']:,} have expired bytes and stay as they are, unless they are translated anew.")
    return told
