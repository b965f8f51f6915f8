"""The addresses of this floor's pages inside the shell; their names are `admin:…`.

The shell asks for them; templates and other floors know the names only.
"""

from django.contrib.admin import AdminSite
from django.urls import URLPattern, path

from webhooks_log import (
    account_change,
    actions,
    alert_pages,
    answers,
    arrivals,
    customers,
    export,
    find,
    live,
    look,
    mapping_preview,
    notes,
    opened,
    past_events,
    privacy,
    raw,
    replays,
    saved,
    tab,
    trial_event,
    why,
)


def pages(site: AdminSite) -> list[URLPattern]:
    """Every page, behind the shell's own door."""
    views = (
        ("find/", find.find, "find"),
        ("mapping-preview/", mapping_preview.mapping_preview, "mapping_preview"),
        ("connections/<int:pk>/move/", account_change.move_connection, "connection_move"),
        ("connections/<int:pk>/past-events/", past_events.past_events, "past_events"),
        ("connections/<int:pk>/test-event/", trial_event.send_test_event, "test_event"),
        ("test-events/<int:pk>/", trial_event.test_event_way, "test_event_way"),
        ("customers/", customers.customers, "customers"),
        ("customers/<int:pk>/", customers.customer, "customer"),
        ("customers/<int:pk>/webhooks/", tab.customer_webhooks, "customer_webhooks"),
        ("customers/<int:pk>/note/", notes.customer_note, "customer_note"),
        ("webhooks/", tab.webhooks, "webhooks"),
        ("webhooks/answers/", answers.answers, "answers"),
        ("webhooks/export.<slug:kind>", export.webhooks_export, "webhooks_export"),
        ("customers/<int:pk>/look/", look.customer_look, "customer_look"),
        ("webhooks/<int:pk>/look/", look.delivery_look, "delivery_look"),
        ("webhooks/send-again/", replays.replay_plan, "replay_plan"),
        ("webhooks/sent-again/", replays.replays, "replays"),
        ("webhooks/sent-again/<int:pk>/", replays.replay_page, "replay"),
        ("webhooks/sent-again/<int:pk>/turn/", replays.replay_turn, "replay_turn"),
        ("webhooks/<int:pk>/send-again/", actions.send_again, "delivery_send_again"),
        ("webhooks/<int:pk>/stop/", actions.stop, "delivery_stop"),
        ("webhooks/<int:pk>/try-now/", actions.try_now, "delivery_try_now"),
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
        ("alerts/", alert_pages.alerts_page, "alerts"),
        ("alerts/<slug:place>/wishes/", alert_pages.alert_wishes, "alert_wishes"),
        ("alerts/<slug:place>/channels/", alert_pages.alert_hook_add, "alert_hook_add"),
        ("alerts/channels/<int:pk>/remove/", alert_pages.alert_hook_remove, "alert_hook_remove"),
        ("alerts/channels/<int:pk>/test/", alert_pages.alert_hook_test, "alert_hook_test"),
        ("privacy/", privacy.privacy, "privacy"),
        ("privacy/found/", privacy.person_found, "person_found"),
        ("privacy/copy/", privacy.person_copy, "person_copy"),
        ("privacy/erase/", privacy.person_erase, "person_erase"),
        ("why/", why.why_order, "why_order"),
        ("events/", arrivals.events, "events"),
        ("events/<int:pk>/", why.event, "event"),
        ("events/<int:pk>/body/", opened.event_opened, "event_opened"),
        ("events/<int:pk>/body.bin", raw.event_body, "event_body"),
    )
    return [path(route, site.admin_view(view), name=name) for route, view, name in views]
