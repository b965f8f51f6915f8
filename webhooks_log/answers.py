"""The help page: what every answer of Klaviyo means and what is done then, from the same tables the lanes obey.

Linked from the list and from every verdict.
"""

from django.http import HttpRequest, HttpResponse

from webhooks_log.page import page
from webhooks_log.reasons import REASONS
from webhooks_log.verdicts import VERDICTS


def answers(request: HttpRequest) -> HttpResponse:
    """The table of answers and the table of reasons."""
    return page(request, "answers.html", title="What Klaviyo's answers mean", verdicts=VERDICTS, reasons=REASONS)
