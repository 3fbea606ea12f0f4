"""HTTP jobs against a real server on the loopback."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from backends.engine.executors.base import Attempt, Ended
from backends.engine.executors.http import run_http
from backends.jobs.spec import HttpSpec, JobSpec
from backends.model import Outcome, new_run_id


class Handler(BaseHTTPRequestHandler):
    """Says what it was asked, or what the path tells it to."""

    hang = threading.Event()

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        match self.path.strip("/").split("/"):
            case ["status", code]:
                self.reply(int(code), b"starting\nout of order\n\n")
            case ["hang"]:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"so far")
                self.wfile.flush()
                self.hang.wait(20)
            case ["to", *rest]:
                where = "/".join(rest).replace("__", "//")
                self.reply(307, b"", Location=where if "//" in where else "/" + where)
            case ["loop"]:
                self.reply(302, b"", Location="/loop")
            case ["cookie", *_]:
                self.reply(302, b"", **{"Location": "/echo", "Set-Cookie": "session=1"})
            case ["big"]:
                self.reply(200, b"x" * 500_000 + b"end")
            case _:
                headers = {name.lower(): value for name, value in self.headers.items()}
                said = {"method": self.command, "body": body.decode(), "headers": headers}
                self.reply(200, json.dumps(said).encode())

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

    def reply(self, code: int, body: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def base() -> Iterator[str]:
    """The address of a running server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    Handler.hang.set()
    server.shutdown()
    server.server_close()
    Handler.hang.clear()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client as the engine has it."""
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


def attempt(url: str, payload: bytes = b"{}", timeout_s: float | None = None, **http: Any) -> Attempt:
    """An attempt of an HTTP job."""
    spec = JobSpec(name="call", kind="http", http=HttpSpec(url=url, **http))
    return Attempt(new_run_id(), 3, spec, payload, timeout_s=timeout_s)


async def run(client: httpx.AsyncClient, url: str, *args: Any, **more: Any) -> Ended:
    """Make a call."""
    return await run_http(attempt(url, *args, **more), client, cancelled=asyncio.Event())


async def test_a_call_says_which_run_it_is(client: httpx.AsyncClient, base: str) -> None:
    job = attempt(base + "/x", headers={"X-Own": "1"})
    ended = await run_http(job, client, cancelled=asyncio.Event())
    assert (ended.outcome, ended.exit_code) == (Outcome.SUCCEEDED, 200)
    said = json.loads(ended.output or "")
    assert said["method"] == "GET"
    assert said["body"] == ""
    assert said["headers"]["idempotency-key"] == job.run_id
    assert said["headers"]["x-cronsole-attempt"] == "3"
    assert said["headers"]["x-own"] == "1"


async def test_bodies(client: httpx.AsyncClient, base: str) -> None:
    cases: list[tuple[dict[str, Any], str, str | None]] = [
        ({"method": "POST"}, '{"a": "ä"}', "application/json"),
        ({"method": "put"}, '{"a": "ä"}', "application/json"),
        ({"method": "DELETE"}, "", None),
        ({"method": "POST", "body": "plain ä"}, "plain ä", None),
        ({"method": "POST", "body": {"b": [1]}}, '{"b":[1]}', "application/json"),
        ({"method": "POST", "body": {}, "headers": {"content-type": "application/x"}}, "{}", "application/x"),
    ]
    for http, body, content_type in cases:
        said = json.loads((await run(client, base, '{"a": "ä"}'.encode(), **http)).output or "")
        assert (said["body"], said["headers"].get("content-type")) == (body, content_type)


@pytest.mark.parametrize(
    ("code", "expect", "outcome"),
    [
        (204, None, Outcome.SUCCEEDED), (299, None, Outcome.SUCCEEDED), (404, None, Outcome.FAILED),
        (404, 404, Outcome.SUCCEEDED), (200, 404, Outcome.FAILED), (503, (200, 503), Outcome.SUCCEEDED),
        (304, None, Outcome.FAILED),
    ],
)  # fmt: skip
async def test_expected_status(client: httpx.AsyncClient, base: str, code: int, expect: Any, outcome: Outcome) -> None:
    ended = await run(client, f"{base}/status/{code}", expect=expect)
    assert (ended.outcome, ended.exit_code) == (outcome, code)


async def test_a_failure_is_one_line_without_secrets(client: httpx.AsyncClient, base: str) -> None:
    url = base.replace("://", "://user:secret@") + "/status/503?token=secret"
    ended = await run(client, url.replace("?token=secret", ""))
    assert ended.error == f"HTTP 503 from GET {base}/status/503: out of order"
    assert ended.error_class == "Http503"
    assert ended.output == "starting\nout of order\n\n"
    refused = await run(client, "http://user:secret@127.0.0.1:1/x?token=secret")
    assert refused.outcome is Outcome.FAILED
    assert refused.error_class == "ConnectError"
    assert refused.error is not None
    assert refused.error.startswith("GET http://127.0.0.1:1/x: ")
    assert "secret" not in refused.error


@pytest.mark.parametrize(
    "url", ["nonsense", "ftp://127.0.0.1/x", "http://[::1", "http://host name/", "http://nowhere.invalid/"]
)
async def test_bad_addresses_are_failures(client: httpx.AsyncClient, url: str) -> None:
    ended = await run(client, url, timeout_s=10)
    assert ended.outcome is Outcome.FAILED
    assert ended.error
    assert "\n" not in ended.error


async def test_bad_headers_are_failures(client: httpx.AsyncClient, base: str) -> None:
    for value in ("a\nb", "a\0b"):
        assert (await run(client, base, headers={"X-Own": value})).outcome is Outcome.FAILED


async def test_redirects_stay_on_their_host(client: httpx.AsyncClient, base: str) -> None:
    ended = await run(client, base + "/to/echo", b'{"a": 1}', method="POST")
    assert json.loads(ended.output or "")["body"] == '{"a": 1}'
    away = await run(client, base + "/to/http:__localhost:1/x")
    assert away.outcome is Outcome.FAILED
    assert "redirects to another host, http://localhost:1/x: not followed" in (away.error or "")
    assert (await run(client, base + "/to/echo", expect=307)).exit_code == 307
    assert "more than 5 redirects" in ((await run(client, base + "/loop")).error or "")


async def test_cookies_go_no_further(client: httpx.AsyncClient, base: str) -> None:
    await run(client, base + "/cookie", expect=302)
    for url in (base + "/cookie", base + "/echo"):
        assert "cookie" not in json.loads((await run(client, url)).output or "")["headers"]
    said = json.loads((await run(client, base + "/cookie", headers={"Cookie": "own=1"})).output or "")
    assert said["headers"]["cookie"] == "own=1"


async def test_of_a_big_answer_the_tail_is_kept(client: httpx.AsyncClient, base: str) -> None:
    output = (await run(client, base + "/big")).output or ""
    assert len(output) == 65_536
    assert output.endswith("xend")


async def test_time_limit_and_cancel(client: httpx.AsyncClient, base: str) -> None:
    ended = await run(client, base + "/hang", timeout_s=0.3)
    assert (ended.outcome, ended.error, ended.output) == (Outcome.TIMED_OUT, "timed out after 0.3 s", "so far")
    cancelled = asyncio.Event()
    asyncio.get_running_loop().call_later(0.2, cancelled.set)
    ended = await run_http(attempt(base + "/hang"), client, cancelled=cancelled)
    assert (ended.outcome, ended.error) == (Outcome.CANCELLED, "cancelled while it ran")
