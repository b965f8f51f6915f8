"""`manage.py worker`: the queue's cluster in a process group of its own, and beside it the clock that is also its
watchdog.

Everything between ingest's answer and Klaviyo runs here. Several hosts may each run one.
"""

import logging
import signal
import socket
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import Error as DatabaseFailure
from django.db import connections
from django.utils import timezone
from redis import RedisError

from connections.klaviyo.client import klaviyo_address
from connections.turns import Watch
from webhooks_log import heartbeat
from webhooks_log.clock import Clock, is_wedged
from webhooks_log.cluster import Cluster, end_orphans
from webhooks_log.memory import memory_bytes

logger = logging.getLogger("viaduct.worker")

REPORT_SECONDS = 5.0
AWAY = (DatabaseFailure, RedisError)


class Command(BaseCommand):
    help = "Dispatch events and deliver messages, until it is asked to stop."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stops = False
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        self.host, self.reported_at = settings.WORKER_NAME or socket.gethostname(), 0.0
        self.cluster = Cluster(self.host)
        self.clock, self.watch = Clock(), Watch()
        try:
            while not self.stops:
                self._look()
                time.sleep(settings.CLOCK_SECONDS)
        finally:
            self.cluster.stop()

    def _look(self) -> None:
        """One look of clock and watchdog. A database or a queue that is away is no reason to end: it comes back."""
        try:
            if self.cluster.process is None:
                self._start()
            self.cluster.remember()
            self.clock.tick()
            self._report()
            why = self._trouble()
        except AWAY as error:
            logger.warning("Database or queue is away: %s", error)
            connections.close_all()
            self.since = timezone.now()  # once it is back, the cluster too has a moment to find it
            return
        if why and not self.stops:
            logger.error("Restarting the cluster: %s", why)
            self.cluster.restart()
            self.since = timezone.now()

    def _report(self) -> None:
        """Every few seconds: that this host's worker is there, and how much memory it holds."""
        if time.monotonic() - self.reported_at > REPORT_SECONDS and self.cluster.process:
            self.reported_at = time.monotonic()
            heartbeat.beat(
                f"worker:{self.host}", memory=memory_bytes(self.cluster.process.pid), klaviyo=klaviyo_address()
            )

    def _start(self) -> None:
        end_orphans(self.host)
        self.cluster.start()
        self.since = timezone.now()

    def _trouble(self) -> str:
        """Why the cluster should be restarted; "" when it need not be."""
        if not self.cluster.is_running():
            return "it ended"
        now = timezone.now()
        if self.watch.was_set():  # then no sign of life has the age it seems to have
            self.since = now
        return is_wedged(now=now, since=self.since, silent_seconds=self.cluster.silent_seconds())

    def _stop(self, *_: object) -> None:
        self.stops = True
