"""Sentry and OpenTelemetry, for whoever runs them: off unless named in the environment, and no dependency of ours.

Beside the corridor, started once per process by the shell's app. What leaves names the place and the request, never a
person: what may leave is listed here, everything else stays. Nothing is added to our calls to Klaviyo, whose record is
exact.
"""

import logging
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from config.logs import REQUEST_ID

SENTRY = ("sentry-sdk",)
TRACES = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http", "opentelemetry-instrumentation-django")
KEPT_OF_REPORT = frozenset({
    "contexts", "environment", "event_id", "exception", "level", "logger", "modules", "platform", "release", "sdk",
    "server_name", "timestamp", "transaction",
})  # fmt: skip
KEPT_OF_FAULT = frozenset({"mechanism", "module", "stacktrace", "type"})  # not its words, which quote values
KEPT_OF_SPAN = frozenset({
    "http.method", "http.request.method", "http.response.status_code", "http.route", "http.status_code",
    "viaduct.request_id",
})  # fmt: skip


def start() -> None:
    """Start what is asked for; raises ImproperlyConfigured where its package is missing."""
    if settings.SENTRY_DSN:
        _start_sentry(settings.SENTRY_DSN)
    if settings.OTEL_ENDPOINT:
        _start_traces(settings.OTEL_ENDPOINT)


# ── Sentry ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def stripped(event: dict[str, Any], _hint: Any = None) -> dict[str, Any]:
    """A fault as it may be reported: where it happened and in which request, not to whom."""
    kept = {name: value for name, value in event.items() if name in KEPT_OF_REPORT}
    kept["tags"] = {"request_id": REQUEST_ID.get()}
    if "method" in event.get("request", {}):  # an address may hold a token, a query a search for people
        kept["request"] = {"method": event["request"]["method"]}
    if "exception" in kept:
        kept["exception"] = {"values": [_fault(value) for value in kept["exception"].get("values", [])]}
    return kept


def _fault(value: Mapping[str, Any]) -> dict[str, Any]:
    fault = {name: part for name, part in value.items() if name in KEPT_OF_FAULT}
    for frame in (fault.get("stacktrace") or {}).get("frames", []):
        frame.pop("vars", None)
    return fault


def _start_sentry(dsn: str) -> None:
    sentry, django, logs, hooks, ends, threads = _loaded(
        "SENTRY_DSN", SENTRY, "sentry_sdk",
        *(f"sentry_sdk.integrations.{name}" for name in ("django", "logging", "excepthook", "atexit", "threading")),
    )  # fmt: skip
    sentry.init(
        dsn=dsn,
        before_send=stripped,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        auto_session_tracking=False,
        # By name, since the usual ones would put headers of theirs into our calls to Klaviyo.
        default_integrations=False,
        auto_enabling_integrations=False,
        trace_propagation_targets=[],
        integrations=[
            django.DjangoIntegration(middleware_spans=False, signals_spans=False),
            logs.LoggingIntegration(level=None, event_level=logging.ERROR),
            hooks.ExcepthookIntegration(),
            ends.AtexitIntegration(callback=lambda *_: None),
            threads.ThreadingIntegration(),
        ],
    )


# ── OpenTelemetry ────────────────────────────────────────────────────────────────────────────────────────────────────
def _start_traces(endpoint: str) -> None:
    trace, sdk, export, resources, otlp, django = _loaded(
        "OTEL_ENDPOINT", TRACES, "opentelemetry.trace", "opentelemetry.sdk.trace", "opentelemetry.sdk.trace.export",
        "opentelemetry.sdk.resources", "opentelemetry.exporter.otlp.proto.http.trace_exporter",
        "opentelemetry.instrumentation.django",
    )  # fmt: skip

    class Stripped(otlp.OTLPSpanExporter):  # type: ignore[name-defined, misc]
        """Sends what may leave of each span."""

        def export(self, spans: Sequence[Any]) -> Any:
            return super().export([_bare(span, sdk.ReadableSpan) for span in spans])

    provider = sdk.TracerProvider(resource=resources.Resource.create({"service.name": "viaduct"}))
    provider.add_span_processor(export.BatchSpanProcessor(Stripped(endpoint=f"{endpoint}/v1/traces")))
    trace.set_tracer_provider(provider)
    django.DjangoInstrumentor().instrument(tracer_provider=provider, response_hook=_name_request)


def _name_request(span: Any, _request: Any, _response: Any) -> None:
    span.set_attribute("viaduct.request_id", REQUEST_ID.get())


def _bare(span: Any, kind: Any) -> Any:
    """The span without addresses, queries, agents and the words of exceptions."""
    return kind(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes={name: value for name, value in (span.attributes or {}).items() if name in KEPT_OF_SPAN},
        kind=span.kind,
        status=span.status.__class__(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _loaded(setting: str, packages: tuple[str, ...], *names: str) -> list[Any]:
    """Modules that nobody loads who does not ask for them."""
    try:
        return [import_module(name) for name in names]
    except ImportError as error:
        words = f"{setting} is set, but a package for it is not installed ({error.name}): {', '.join(packages)}."
        raise ImproperlyConfigured(words) from None
