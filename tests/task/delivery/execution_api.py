"""Airflow's Execution API over HTTP, as far as a task needs it, and a client of Airflow's SDK that meets faults.

The server keeps the task state store and the XComs in memory. ``FaultyClient`` is Airflow's own client, with its own
retries; only its waits between them are left out.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
from airflow.sdk.api.client import Client
from tenacity import wait_none

from tests.servers.processes import LOOPBACK, PATIENCE_SECONDS, free_ports

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_LATE = 0.05  # seconds


class Fault(Enum):
    """What a client of the API meets."""

    ERROR_ONCE = "500, once"
    ERROR = "500"
    TIMEOUT = "timeout, not stored"
    TIMEOUT_STORED = "timeout, stored"
    SLOW = "slow"
    REFUSED = "connection refused"


class Call(NamedTuple):
    """A call of the API that the record or the result of a task makes."""

    method: str
    path: str


READ = Call("GET", "/store/")
WRITE = Call("PUT", "/store/")
PUSH = Call("POST", "/xcoms/")
CALLS = (READ, WRITE, PUSH)


@dataclass
class Outage:
    """A fault that begins at one of the calls of a kind, and lasts.

    Attributes:
        fault: the fault.
        call: the kind of call.
        number: which of these calls in a try is the first to meet it, counted from 1; Airflow's repetitions of a call
            are no further calls.
    """

    fault: Fault
    call: Call
    number: int = 1
    closed_port: int = field(default_factory=lambda: free_ports(1)[0])


class ExecutionApi:
    """The server.

    Attributes:
        kept: the values of the task state store and of XCom, by path.
    """

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def __enter__(self) -> Self:
        (port,) = free_ports(1)
        api = self

        class Handler(_Handler):
            kept = api.kept

        self._server = ThreadingHTTPServer((LOOPBACK, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://{LOOPBACK}:{port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def results(self) -> list[Any]:
        """The XComs."""
        return [value for path, value in self.kept.items() if path.startswith(PUSH.path)]


class _Handler(BaseHTTPRequestHandler):
    """One request; it keeps what is written to the paths, and ignores all other requests."""

    kept: dict[str, Any]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path in self.kept:
            self._reply(200, {"value": self.kept[path]})
        else:
            self._reply(404, {"detail": {"reason": "not_found", "message": "no such key"}})

    def do_PUT(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or "null")
        path = self.path.partition("?")[0]
        if self.headers["fault"] != "500":
            if path.startswith(WRITE.path):
                self.kept[path] = content["value"]
            elif path.startswith(PUSH.path):
                self.kept[path] = content
        self._reply(200, {"message": "ok"})

    def do_POST(self) -> None:
        self.do_PUT()

    def do_PATCH(self) -> None:
        self.do_PUT()

    def _reply(self, code: int, content: Any) -> None:
        if self.headers["fault"] == "500":
            code, content = 500, {"detail": {"reason": "internal_error", "message": "the database is gone"}}
        if self.headers["fault"] == "slow":
            time.sleep(_LATE)
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class FaultyClient(Client):
    """Airflow's client in one try of a task.

    Args:
        api: the server.
        outage: the fault; None for none.
    """

    _repeating = Client.request.retry_with(wait=wait_none())

    def __init__(self, api: ExecutionApi, outage: Outage | None) -> None:
        super().__init__(base_url=api.url, token="", timeout=PATIENCE_SECONDS)
        self._outage = outage
        self._calls = 0  # of the kind at which the outage begins
        self._fault: Fault | None = None

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Make a call, which Airflow repeats if it fails."""
        if self._outage is not None:
            call = next((call for call in CALLS if method == call.method and f"/{url}".startswith(call.path)), None)
            self._calls += call == self._outage.call
            began = self._calls >= self._outage.number
            self._fault = self._outage.fault if call is not None and began else None
        return self._repeating(method, url, **options)

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send one request, or fail."""
        fault = self._fault
        match fault:
            case Fault.ERROR | Fault.ERROR_ONCE:
                request.headers["fault"] = "500"
            case Fault.SLOW:
                request.headers["fault"] = "slow"
            case Fault.REFUSED:
                request.url = request.url.copy_with(port=self._outage.closed_port)
        if fault is Fault.ERROR_ONCE:
            self._outage = self._fault = None
        if fault is Fault.TIMEOUT:
            raise httpx.ReadTimeout("timed out", request=request)
        response = super().send(request, **options)
        if fault is Fault.TIMEOUT_STORED:
            raise httpx.ReadTimeout("timed out", request=request)
        return response
