"""Posts a sentence to an address that takes them as Slack does: through the guard, without redirects, within seconds.

Under the notices. Whoever enters such an address chooses where this machine calls, so only public hosts over TLS will
do; loopback is for demo and tests, and allowed only where Klaviyo itself is the sandbox.
"""

import json
from urllib.parse import urlsplit

from urllib3 import Timeout
from urllib3.exceptions import HTTPError

from connections.klaviyo.client import is_sandboxed
from connections.outgoing import LOOPBACK_HOSTS, guarded_pools

SECONDS = 10.0
LONGEST = 3000


class HookFailed(Exception):
    """The notice was not taken; the words say why, and name no more of the address than its host."""


def check(url: str) -> str:
    """The host of an address that may be called; raises ValueError with a sentence for the person who typed it."""
    parts = urlsplit(url)
    if not parts.hostname or parts.username or parts.password or len(url) > 500:
        raise ValueError("Enter the whole address as it was given to you, https://…")
    is_here = parts.hostname in LOOPBACK_HOSTS
    if is_here and is_sandboxed():
        return parts.hostname
    if is_here or parts.scheme != "https":
        raise ValueError("Only addresses that begin with https:// and lead to the public internet can be used.")
    return parts.hostname


def escaped(text: str) -> str:
    """As Slack asks for it: a name that somebody typed becomes neither a link nor a call to everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def post(url: str, text: str) -> None:
    """Deliver `text`; raises HookFailed unless the answer is a 2xx."""
    try:
        host = check(url)
    except ValueError as error:
        raise HookFailed(str(error)) from None
    pools = guarded_pools(num_pools=1)
    try:
        answer = pools.request(
            "POST",
            url,
            body=json.dumps({"text": escaped(text[:LONGEST])}).encode(),
            headers={"Content-Type": "application/json", "User-Agent": "viaduct/1"},
            timeout=Timeout(total=SECONDS),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        status = answer.status
        answer.close()
    except (HTTPError, OSError) as error:
        raise HookFailed(f"{host}: {error.__class__.__name__}") from None
    finally:
        pools.clear()
    if not 200 <= status < 300:
        raise HookFailed(f"{host} answered {status}")
