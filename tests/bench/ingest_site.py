"""What the ingest benchmark serves: Viaduct's own application, and beside it the bare view it is measured against."""

import os

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

INSERT = "INSERT INTO bench_floor (received_at, body) VALUES (%s, %s)"


@csrf_exempt
def floor(request: HttpRequest) -> HttpResponse:
    """The least that storing a body can cost: no proof, no check, no index, one INSERT."""
    moment = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [moment, request.body])
    return HttpResponse(b'{"results": [{"status": "accepted"}]}', status=202, content_type="application/json")


urlpatterns = [path("bench/floor", floor), path("", include("config.urls"))]
