"""Who hears of alerts in the game day: a mail server and a channel as Slack's, both real, on loopback."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message

from tests.servers import free_port


class Ears(Message):
    """Keeps the first line of everything that was told, by mail (per person) and in the channel."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: Counter[tuple[str, str]] = Counter()
        self.said: Counter[str] = Counter()
        self.mail_url = self.hook_url = ""

    def handle_message(self, message: Any) -> None:
        self.mails[message["To"], message["Subject"]] += 1


@contextmanager
def listening() -> Iterator[Ears]:
    ears = Ears()

    class Channel(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
            ears.said[text.partition("\n")[0].strip("*")] += 1
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    mail = Controller(ears, hostname="127.0.0.1", port=free_port())
    mail.start()
    channel = ThreadingHTTPServer(("127.0.0.1", 0), Channel)
    Thread(target=channel.serve_forever, daemon=True).start()
    ears.mail_url, ears.hook_url = f"smtp://127.0.0.1:{mail.port}", f"http://127.0.0.1:{channel.server_port}/hook"
    try:
        yield ears
    finally:
        mail.stop()
        channel.shutdown()
        channel.server_close()
