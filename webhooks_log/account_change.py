"""The owner moves a connection to another Klaviyo account: confirmed by typing, and nothing owed goes along.

On the connection's page when the doctor found another account than before.
"""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST

from connections import audit, doctor
from connections.accounts import move
from connections.models import Connection
from connections.tenancy import may, own
from webhooks_log.accounts import follow


@require_POST
def move_connection(request: HttpRequest, pk: int) -> HttpResponse:
    """Tie the connection to the account whose id the owner typed, if it is the one that the doctor found."""
    connection = get_object_or_404(own(Connection.objects.living().select_related("account"), request.user), pk=pk)
    if not may(request.user, connection.merchant, "configure"):
        raise PermissionDenied
    back = HttpResponseRedirect(reverse("admin:connection", args=(pk,)))
    found = str(connection.check_result.get("cid", ""))
    if (
        connection.state != Connection.State.WRONG_ACCOUNT
        or found == connection.account.cid
        or request.POST.get("account", "").strip() != found
    ):
        messages.error(request, f"Not moved. Type the account's id, {found}, exactly as it is written.")
        return back
    with transaction.atomic():
        before = move(connection, found)
        audit.record(request.user, "moved to another account", connection, {"account": (before.cid, found)})
        _, skipped = follow(connection)
    messages.success(request, f"Moved. {skipped} messages owed to the account of before were skipped.")
    doctor.check(connection)
    return back
