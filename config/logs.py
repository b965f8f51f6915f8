"""How a log line is written: plain for people, or one JSON object a line for machines, with the request it belongs to.

Beside the corridor: named by LOGGING, used by every logger. What a line is about travels as `extra`, not in its words.
"""

import json
import logging
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")  # set by the outermost layer of a request

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_HIDDEN = frozenset({"request", "server_time"})  # what Django adds for its own handlers


class JsonFormatter(logging.Formatter):
    """Moment, level, logger, words, request id, then whatever the caller gave as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "says": record.getMessage(),
        }
        if request_id := REQUEST_ID.get():
            line["request_id"] = request_id
        line |= {name: value for name, value in vars(record).items() if name not in _OWN and name not in _HIDDEN}
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])
            line["trace"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]  # places, no values
        return json.dumps(line, default=str, ensure_ascii=False, separators=(",", ":"))
