"""A real browser on a real server: Debian's Chromium, driven by playwright, offline but for our own address."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# playwright's own loop runs in this thread, which Django takes for an asynchronous one.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, live_server: Any) -> Iterator[Page]:
    """A fresh window. The test fails if the page logs an error or asks any other machine for anything."""
    context = browser.new_context(base_url=live_server.url, viewport={"width": 1360, "height": 900})
    window, troubles = context.new_page(), []
    window.on("console", lambda message: troubles.append(message.text) if _is_trouble(message) else None)
    window.on("pageerror", lambda error: troubles.append(str(error)))
    window.on(
        "request",
        lambda asked: troubles.append(asked.url) if not asked.url.startswith(("data:", live_server.url)) else None,
    )
    window.set_default_timeout(10_000)
    yield window
    context.close()
    assert not troubles


@pytest.fixture
def log_in(page: Page, live_server: Any) -> Callable[[Any], None]:
    """Be this person in the window, by a session made beside the login form."""

    def enter(user: Any) -> None:
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()
        page.context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": session.session_key, "url": live_server.url}]
        )

    return enter


def _is_trouble(message: ConsoleMessage) -> bool:
    return message.type == "error"
