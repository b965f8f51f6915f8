"""Takes the README's pictures: starts the demo on free ports in a temporary folder, waits for its day, and looks.

`make screenshots` runs it; nothing of a developer's own demo or `.env` is touched.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from config.envfile import write_if_missing

FOLDER = Path(__file__).resolve().parent
PROJECT = FOLDER.parent
START = (
    "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings';"
    "from django.conf import settings; from config.up import environment, run;"
    "sys.exit(run(environment(settings.PORT, settings.SANDBOX_PORT)))"
)
WIDE = {"width": 1440, "height": 880}
PHONE = {"width": 390, "height": 800}
PATIENCE = 180.0  # seconds for the demo day


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        values = prepare(Path(folder))
        demo = subprocess.Popen(
            [sys.executable, "-c", START],
            cwd=PROJECT,
            env=os.environ | values,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
                take_all(browser, f"http://127.0.0.1:{values['PORT']}", values["DEMO_MERCHANT_PASSWORD"])
        finally:
            os.killpg(demo.pid, signal.SIGINT)
            demo.wait(timeout=60)


def prepare(folder: Path) -> dict[str, str]:
    """An `.env` of its own with fresh secrets, an empty database, free ports."""
    shutil.copy(PROJECT / ".env.example", folder)
    write_if_missing(folder)
    lines = (folder / ".env").read_text(encoding="utf-8").splitlines()
    secrets = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {
        "ENV_FILE": str(folder / ".env"),
        "DATABASE_URL": f"sqlite:///{folder}/viaduct.sqlite3",
        "PORT": str(free_port()),
        "SANDBOX_PORT": str(free_port()),
        "DEMO_MERCHANT_PASSWORD": secrets["DEMO_MERCHANT_PASSWORD"],
    }


def take_all(browser: Browser, address: str, password: str) -> None:
    page = browser.new_context(base_url=address, viewport=WIDE).new_page()
    sign_in(page, password)
    wait_for_the_day(page)
    shoot(page, "/app/", "home")
    shoot(page, "/app/connections/add/?provider=klaviyo", "connect")
    shoot(page, "/app/connections/1/", "connection")
    shoot(page, "/app/receive/", "receive")
    page.goto("/app/webhooks/?phone=dropped")
    page.locator("details summary").first.click()
    page.locator("details[open] a[href*='/app/customers/']").first.click()
    page.wait_for_url("**/app/customers/**")
    page.goto(f"{page.url.split('webhooks')[0]}webhooks/")
    page.locator("details", has_text="phone dropped").locator("summary").first.click()
    page.wait_for_load_state("networkidle")
    page.screenshot(path=FOLDER / "screenshots" / "customer-webhooks.png")
    page.emulate_media(color_scheme="dark")
    shoot(page, "/app/", "home-dark")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(PHONE)
    shoot(page, "/app/connections/1/", "phone")


def sign_in(page: Page, password: str) -> None:
    """As soon as the demo listens."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            page.goto("/app/login/")
            break
        except PlaywrightError:
            if time.monotonic() > until:
                raise
            time.sleep(1)
    page.get_by_label("E-mail address or username").fill("merchant")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/app/")


def wait_for_the_day(page: Page) -> None:
    """Until what Klaviyo accepted has stopped growing."""
    until, before = time.monotonic() + PATIENCE, ""
    while time.monotonic() < until:
        page.goto("/app/")
        now = page.locator(".vc-stat").nth(1).inner_text()
        if now == before and not now.startswith("0"):
            return
        before = now
        time.sleep(10)


def shoot(page: Page, path: str, name: str) -> None:
    page.goto(path)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=FOLDER / "screenshots" / f"{name}.png")


def chromium() -> str:
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
    )
    if not found:
        sys.exit("Chromium is not installed. On Debian: apt-get install chromium")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
