"""Sentry and OpenTelemetry, for whoever runs them: off unless named in the environment, and no dependency of ours.

Beside the corridor, started once per process by the shell's app. What leaves is stripped: no bodies, no variables,
no cookies, no addresses of people.
"""

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

try:
    import sentry_sdk
except ImportError:
    sentry_sdk = None

try:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
except ImportError:
    trace = None

KEPT_OF_REQUEST = ("method", "url")
_MISSING = "{name} is set, but the package for it is not installed: {packages}."


def start() -> None:
    """Start what is asked for; raises ImproperlyConfigured where its package is missing."""
    if settings.SENTRY_DSN:
        _start_sentry(settings.SENTRY_DSN)
    if settings.OTEL_ENDPOINT:
        _start_traces(settings.OTEL_ENDPOINT)


def stripped(event: dict[str, Any], _hint: dict[str, Any]) -> dict[str, Any]:
    """A fault as it may be reported: where it happened, not to whom. Queries may hold a search for people."""
    request = event.get("request")
    if request is not None:
        event["request"] = {name: request[name] for name in KEPT_OF_REQUEST if name in request}
    for exception in (event.get("exception") or {}).get("values", []):
        exception.pop("value", None)
        for frame in (exception.get("stacktrace") or {}).get("frames", []):
            frame.pop("vars", None)
    for name in ("user", "extra", "breadcrumbs", "logentry", "message"):
        event.pop(name, None)
    return event


def _start_sentry(dsn: str) -> None:
    if sentry_sdk is None:
        raise ImproperlyConfigured(_MISSING.format(name="SENTRY_DSN", packages="sentry-sdk"))
    sentry_sdk.init(
        dsn=dsn,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        before_send=stripped,
    )


def _start_traces(endpoint: str) -> None:
    if trace is None:
        packages = "opentelemetry-sdk, opentelemetry-exporter-otlp-proto-http, opentelemetry-instrumentation-django"
        raise ImproperlyConfigured(_MISSING.format(name="OTEL_ENDPOINT", packages=packages))
    provider = TracerProvider(resource=Resource.create({"service.name": "viaduct"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument()
