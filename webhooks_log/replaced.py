"""Lets a message's bytes go once a row says something else: what no row names, no purge and no erasure would find.

Around whatever gives Deliveries new bytes.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from connections.writing import delete_rows
from webhooks_log.models import Attempt, Body, Delivery

BLOCK = 500


@contextmanager
def replacing_bodies(deliveries: Collection[int]) -> Iterator[None]:
    """Delete, at the end, the bodies that these rows named before and neither they nor their Attempts name now."""
    before = bodies_of(deliveries)
    yield
    if before:
        forget_unnamed(before, deliveries)


def forget_unnamed(bodies: Collection[int], deliveries: Collection[int]) -> None:
    """Delete those of the bodies that neither these Deliveries nor their Attempts name."""
    calls = Attempt.objects.filter(delivery__in=deliveries).exclude(body=None)
    unnamed = sorted(set(bodies) - bodies_of(deliveries) - set(calls.values_list("body", flat=True)))
    for start in range(0, len(unnamed), BLOCK):
        delete_rows(Body, unnamed[start : start + BLOCK])


def bodies_of(deliveries: Collection[int]) -> set[int]:
    if not deliveries:
        return set()
    return set(Delivery.objects.filter(pk__in=deliveries).exclude(body=None).values_list("body", flat=True))
