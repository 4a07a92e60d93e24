"""Log lines on stderr: for people as text, for programs as JSON."""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import UTC, datetime

from datawarehouse.server.http import AnswerCutOff

_SAID_EVERY_S = 60.0
_KINDS_MAX = 1000


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = f"{_instant(record)} {record.levelname.lower():7} {record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def _instant(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class _OnceAMinute(logging.Filter):
    """For the lines of a library that clients can cause: each text once a minute, then with how often it came."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[object, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], AnswerCutOff):
            return False
        now, kind = time.monotonic(), (record.msg, record.exc_info and record.exc_info[0])
        said, more = self._said.get(kind, (now - _SAID_EVERY_S, 0))
        if now - said < _SAID_EVERY_S:
            self._said[kind] = said, more + 1
            return False
        if len(self._said) >= _KINDS_MAX:
            self._said.clear()
        self._said[kind] = now, 0
        if more:
            record.msg, record.args = f"{record.getMessage().rstrip()} ({more} times more since this was said)", ()
        return True


def log_to_stderr(form: str) -> None:
    """Write the package's log lines on stderr, as "text" or "json"."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if form == "json" else _Text())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).addFilter(_OnceAMinute())
