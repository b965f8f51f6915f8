"""Everything that people changed at a merchant, newest first; for its owners.

Beside the corridor: read only, because what was recorded is never edited.
"""

from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from connections.models import AuditEntry
from connections.page import page
from connections.tenancy import chosen_merchants, may_anywhere, merchants_of, merchants_where

PAGE = 100
LOOKING = "personal data seen"  # views of personal data are many: shown when asked for


@require_GET
def history_page(request: HttpRequest) -> HttpResponse:
    """One page of entries; `before` names the last entry of the page before."""
    if not may_anywhere(request.user, "configure"):
        raise PermissionDenied
    chosen = request.GET.get("merchant", "")
    entries = list(_entries(request, chosen)[: PAGE + 1])
    return page(
        request,
        "history_page.html",
        title="History",
        entries=entries[:PAGE],
        older=entries[PAGE - 1].pk if len(entries) > PAGE else None,
        merchants=merchants_of(request.user),
        chosen=chosen,
        shows_views="views" in request.GET,
    )


def _entries(request: HttpRequest, chosen: str) -> QuerySet[AuditEntry]:
    """Of the person's merchants; the platform's staff see besides what belongs to none, as accounts do."""
    merchants = merchants_where(request.user, "configure").filter(pk__in=chosen_merchants(request.user, chosen))
    of_no_merchant = Q(merchant=None) if request.user.is_superuser and not chosen else Q(pk=None)
    rows = AuditEntry.objects.filter(Q(merchant__in=merchants) | of_no_merchant)
    rows = rows.filter(action=LOOKING) if "views" in request.GET else rows.exclude(action=LOOKING)
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    return rows.order_by("-pk")
