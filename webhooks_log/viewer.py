"""Who is looking: a person's merchants, and at which of them they may see personal data or send again.

Every page of this floor makes one Viewer and asks it; nothing is read that its merchants do not own.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest
from django.utils import timezone

from connections.audit import record
from connections.models import AuditEntry, Merchant
from connections.tenancy import merchant_of, merchants_allowing

SEEN = "personal data seen"
SEEN_AGAIN_AFTER = timedelta(hours=1)


@dataclass
class Viewer:
    """A person on a page. `slug` narrows to one of their merchants; any other slug is a 404."""

    user: AbstractBaseUser
    slug: str = ""
    everyone: list[Merchant] = field(init=False)

    def __post_init__(self) -> None:
        self.everyone = merchants_allowing(self.user, "read")
        if self.slug and not any(merchant.slug == self.slug for merchant in self.everyone):
            raise Http404

    @cached_property
    def merchants(self) -> dict[int, Merchant]:
        """The merchants this page shows, by id."""
        return {m.pk: m for m in self.everyone if not self.slug or m.slug == self.slug}

    @cached_property
    def clear_ids(self) -> set[int]:
        """Merchants whose customers' e-mail addresses, phones and bodies this person may read."""
        return {merchant.pk for merchant in merchants_allowing(self.user, "personal_data")}

    @cached_property
    def sender_ids(self) -> set[int]:
        return {merchant.pk for merchant in merchants_allowing(self.user, "send_again")}

    def sees_personal_data(self, merchant_id: int) -> bool:
        return merchant_id in self.clear_ids

    def may_send_again(self, merchant_id: int) -> bool:
        return merchant_id in self.sender_ids

    def own(self, rows: QuerySet[Any], **lookup: Any) -> Any:
        """The one row of this look-up, if it belongs to one of the person's merchants; a 404 otherwise."""
        row = rows.filter(**lookup).first()
        mine = {merchant.pk: merchant for merchant in self.everyone}
        if row is None or row.merchant_id not in mine:
            raise Http404
        row.merchant = mine[row.merchant_id]
        return row

    def need_personal_data(self, merchant_id: int) -> None:
        if not self.sees_personal_data(merchant_id):
            raise PermissionDenied("Personal data of this merchant's customers is not shown to you.")

    def need_send_again(self, merchant_id: int) -> None:
        if not self.may_send_again(merchant_id):
            raise PermissionDenied("You may not send again for this merchant.")

    def note_seen(self, obj: Model, what: str = "") -> None:
        """Record that personal data was shown in clear: once an hour for each person and thing."""
        merchant = merchant_of(obj)
        if merchant is None or not self.sees_personal_data(merchant.pk):
            return
        if not self._seen_lately([merchant.pk], obj._meta.model_name, str(obj.pk), what):
            record(self.user, SEEN, obj, reason=what, merchant=merchant)

    def note_list_seen(self, what: str, merchant_ids: Iterable[int]) -> None:
        """The same for a list of people, at every merchant it showed; one look for all of them."""
        shown = [pk for pk in dict.fromkeys(merchant_ids) if self.sees_personal_data(pk)]
        lately = self._seen_lately(shown, "merchant", "", what) if shown else set()
        for pk in shown:
            if pk not in lately:
                record(self.user, SEEN, self.merchants[pk], reason=what, merchant=self.merchants[pk])

    def _seen_lately(self, merchant_ids: list[int], kind: str | None, pk: str, what: str) -> set[int]:
        """The merchants at which the same was written down within the hour; without a pk, of themselves."""
        lately = AuditEntry.objects.filter(
            merchant_id__in=merchant_ids,
            at__gte=timezone.now() - SEEN_AGAIN_AFTER,
            actor=self.user,
            action=SEEN,
            object_type=kind,
            reason=what,
        )
        lately = lately.filter(object_id=pk) if pk else lately
        return set(lately.values_list("merchant_id", flat=True))


def viewer(request: HttpRequest) -> Viewer:
    """The person behind this request."""
    return Viewer(request.user)


def narrowed(request: HttpRequest) -> Viewer:
    """The person, narrowed to `?merchant=slug` where the address names one; a 404 for somebody else's."""
    return Viewer(request.user, request.GET.get("merchant", ""))


def slugs(merchants: Iterable[Merchant]) -> list[tuple[str, str]]:
    return [(merchant.slug, merchant.name) for merchant in merchants]
