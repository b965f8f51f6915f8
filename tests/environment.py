"""Gives the tests an environment of their own and loads Django: no `.env`, no secret and no database of a developer.

First thing that conftest imports, because everything else may look at the settings.
"""

import os
import tempfile
from pathlib import Path

import django
from django.conf import settings

from tests.running import BARE

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "alone")
RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())
FOLDER = Path(os.environ.get("VIADUCT_TEST_FOLDER") or tempfile.mkdtemp(prefix="viaduct-tests-"))

os.environ.update(
    {
        **BARE,
        "EMAIL_URL": "memorymail://",
        "PUBLIC_URL": "http://testserver",
        "DATABASE_URL": os.environ.get("TEST_DATABASE_URL") or f"sqlite:///{FOLDER}/viaduct.sqlite3",
        "REDIS_URL": os.environ.get("TEST_REDIS_URL", ""),
        "QUEUE_NAME": f"viaduct-test-{RUN}-{WORKER}",  # a Redis that others use too is shared, never flushed
    }
)

database = settings.DATABASES["default"].setdefault("TEST", {})
if settings.IS_SQLITE:
    # A file, not memory: threads and child processes of a test see one database, with the locks of the real one.
    database["NAME"] = f"{FOLDER}/{WORKER}-{os.getpid()}.sqlite3"
    # Only a power cut tells the two apart, and no test survives one.
    options = settings.DATABASES["default"]["OPTIONS"]
    options["init_command"] = options["init_command"].replace("synchronous=FULL", "synchronous=OFF")
else:
    database["NAME"] = f"viaduct_test_{RUN[-12:]}"  # the runner adds the worker's name
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
settings.STATIC_ROOT = FOLDER / "static"
settings.STATIC_ROOT.mkdir(exist_ok=True)
django.setup()
# The processes of xdist inherit this environment and would load Django before they come here with names of their own.
del os.environ["DJANGO_SETTINGS_MODULE"]
