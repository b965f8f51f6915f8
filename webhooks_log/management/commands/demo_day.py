"""`manage.py demo_day`: plays a day of the demo shop to the door over real HTTP, as Vrio would post it.

It is Vrio's part in the demo, and orders Klaviyo's troubles from the sandbox just before the events that meet them.
"""

import argparse
import json
from typing import Any

import requests
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from tqdm import tqdm

from connections import demo
from connections.klaviyo.sandbox.accounts import OTHER_ACCOUNT
from events.demo.day import shop_day
from events.demo.pen import Scene

TIMEOUT_SECONDS = 30


class Command(BaseCommand):
    help = "Post a believable day of the demo shop to a running Viaduct; a repeat within the half day adds nothing."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--short", action="store_true", help="about sixty events instead of a few hundred")
        parser.add_argument("--seed", type=int, default=1, help="another number is another day")
        parser.add_argument("--url", default=demo.web_url(), help="where Viaduct listens")
        parser.add_argument("--sandbox-url", default=demo.sandbox_url(), help="where the Klaviyo sandbox listens")

    def handle(self, *args: Any, **options: Any) -> None:
        scenes = shop_day(options["seed"], timezone.now(), short=options["short"], outlet_account=OTHER_ACCOUNT)
        self.stdout.write(f"Demo day: {len(scenes)} events from Vrio are being posted to {options['url']}.")
        try:
            posted = self.play(scenes, options["url"].rstrip("/"), options["sandbox_url"].rstrip("/"))
        except requests.ConnectionError as why:
            raise CommandError(f"Nobody answers at {why.request.url if why.request else options['url']}.") from None
        self.stdout.write(f"Demo day: {posted.count(202)} events were new, {posted.count(200)} known already.")

    def play(self, scenes: list[Scene], url: str, sandbox_url: str) -> list[int]:
        """The answers' status codes, one for each posting."""
        answers = []
        with requests.Session() as session:
            session.trust_env = False
            for scene in tqdm(scenes, unit="event"):
                self.order(session, sandbox_url, scene)
                answers += [self.post(session, url, scene) for _ in range(scene.times)]
        return answers

    def order(self, session: requests.Session, sandbox_url: str, scene: Scene) -> None:
        """Tell the sandbox what to do to the calls that this scene will cause."""
        if scene.faults:
            session.post(
                f"{sandbox_url}/_sandbox/faults", json=list(scene.faults), timeout=TIMEOUT_SECONDS
            ).raise_for_status()

    def post(self, session: requests.Session, url: str, scene: Scene) -> int:
        """Raises CommandError with the door's answer where it is not 2xx."""
        key = demo.outlet_api_key() if scene.is_outlet else demo.api_key()
        answer = session.post(
            f"{url}/api/v1/events",
            data=json.dumps(scene.event),
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
            timeout=TIMEOUT_SECONDS,
        )
        if not answer.ok:
            raise CommandError(f"“{scene.title}” was answered {answer.status_code}: {answer.text[:300]}")
        return answer.status_code
