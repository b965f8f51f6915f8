"""The addresses of this floor's pages inside the shell; their names are `admin:…`.

The shell asks for them; templates and other floors know the names only.
"""

from django.contrib.admin import AdminSite
from django.urls import URLPattern, path

from webhooks_log import (
    account_change,
    answers,
    customers,
    export,
    find,
    live,
    notes,
    opened,
    past_events,
    raw,
    saved,
    tab,
    test_event,
    why,
)


def pages(site: AdminSite) -> list[URLPattern]:
    """Every page, behind the shell's own door."""
    views = (
        ("find/", find.find, "find"),
        ("connections/<int:pk>/move/", account_change.move_connection, "connection_move"),
        ("connections/<int:pk>/past-events/", past_events.past_events, "past_events"),
        ("connections/<int:pk>/test-event/", test_event.send_test_event, "test_event"),
        ("test-events/<int:pk>/", test_event.test_event_way, "test_event_way"),
        ("customers/", customers.customers, "customers"),
        ("customers/<int:pk>/", customers.customer, "customer"),
        ("customers/<int:pk>/webhooks/", tab.customer_webhooks, "customer_webhooks"),
        ("customers/<int:pk>/note/", notes.customer_note, "customer_note"),
        ("webhooks/", tab.webhooks, "webhooks"),
        ("webhooks/answers/", answers.answers, "answers"),
        ("webhooks/export.<slug:kind>", export.webhooks_export, "webhooks_export"),
        ("webhooks/<int:pk>/note/", notes.delivery_note, "delivery_note"),
        ("webhooks/live/", live.webhooks_live, "webhooks_live"),
        ("webhooks/filters/save/", saved.filter_save, "filter_save"),
        ("webhooks/filters/<int:pk>/forget/", saved.filter_forget, "filter_forget"),
        ("webhooks/<int:pk>/", opened.delivery, "delivery"),
        ("webhooks/<int:pk>/opened/", opened.delivery_opened, "delivery_opened"),
        ("webhooks/attempts/<int:pk>/", opened.attempt_opened, "attempt_opened"),
        ("webhooks/attempts/<int:pk>/request.bin", raw.attempt_request, "attempt_request"),
        ("webhooks/attempts/<int:pk>/answer.bin", raw.attempt_answer, "attempt_answer"),
        ("webhooks/attempts/<int:pk>/curl.txt", raw.attempt_curl, "attempt_curl"),
        ("webhooks/<int:pk>/message.bin", raw.delivery_message, "delivery_message"),
        ("customers/<int:pk>/why/", why.why_customer, "why_customer"),
        ("why/", why.why_order, "why_order"),
        ("events/<int:pk>/", why.event, "event"),
        ("events/<int:pk>/body/", opened.event_opened, "event_opened"),
        ("events/<int:pk>/body.bin", raw.event_body, "event_body"),
    )
    return [path(route, site.admin_view(view), name=name) for route, view, name in views]
