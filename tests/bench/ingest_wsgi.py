"""What granian serves in the ingest benchmark."""

from django.conf import settings

from config.wsgi import application as application

settings.ROOT_URLCONF = "tests.bench.ingest_site"
