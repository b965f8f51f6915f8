"""Starts the sandbox: `python -m connections.klaviyo.sandbox --port 8900`, with no database and no settings.

`manage.py klaviyo_sandbox` calls the same `main`.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence

from .server import serve
from .twin import Twin

DEFAULT_PORT = 8900


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C, TERM or, if asked, the end of standard input; 0, or 1 where the port is in use."""
    options = _options(arguments)
    try:
        asyncio.run(_run(options.port, options.until_input_ends))
    except OSError as no:
        sys.stderr.write(f"Klaviyo sandbox: port {options.port} cannot be opened: {os.strerror(no.errno or 0)}.\n")
        return 1
    return 0


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="the port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--until-input-ends", action="store_true", help="stop when standard input is closed")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="klaviyo_sandbox", description="A stand-in for Klaviyo's API on loopback.")
    add_options(parser)
    return parser.parse_args(arguments)


async def _run(port: int, until_input_ends: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if until_input_ends:
        loop.add_reader(sys.stdin.fileno(), stop.set)
    await serve(Twin(), port, _announce, stop)


def _announce(port: int) -> None:
    sys.stdout.write(f"Klaviyo sandbox on http://127.0.0.1:{port}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
