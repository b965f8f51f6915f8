"""What granian serves in the ingest benchmark."""

from django.conf import settings

from config import wsgi

application = wsgi.application
settings.ROOT_URLCONF = "tests.bench.ingest_site"
