"""Runs HTTP calls. The answer's status decides; its body is the output."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec

from backends.engine.executors.base import ERROR_MOST, Attempt, Ended, Tail, failed, last_line, now_us, one_line
from backends.jobs.spec import HttpSpec
from backends.model import Outcome

REDIRECTS_MOST = 5
CONNECT_S = 10.0
WITH_BODY = ("POST", "PUT", "PATCH")
"""Methods that carry the payload as JSON when the job declares no body."""


async def run_http(attempt: Attempt, client: httpx.AsyncClient, *, cancelled: asyncio.Event) -> Ended:
    """Make the attempt's call. Whatever goes wrong is in the answer; only cancelling the task raises.

    Redirects are followed on the same host only. ``Idempotency-Key`` is the run id, the same in every attempt.
    """
    started = now_us()
    spec = attempt.job.http
    assert spec is not None
    tail = Tail()
    call = asyncio.ensure_future(_call(attempt, spec, client, tail))
    asked = asyncio.ensure_future(cancelled.wait())
    either: set[asyncio.Future[Any]] = {call, asked}
    try:
        await asyncio.wait(either, timeout=attempt.timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if call.done():
            return _judged(started, spec, call.result(), tail)
        if asked.done():
            outcome, error_class, error = Outcome.CANCELLED, "Cancelled", "cancelled while it ran"
        else:
            outcome, error_class, error = Outcome.TIMED_OUT, "TimedOut", f"timed out after {attempt.timeout_s:g} s"
        return Ended(outcome, started, now_us(), error_class=error_class, error=error, output=tail.text())
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError, OSError) as error:
        name = type(error).__name__
        return failed(started, name, f"{spec.method} {shown(spec.url)}: {error or name}")
    finally:
        asked.cancel()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)  # the connection is given back before we say "ended"


def shown(url: str) -> str:
    """An address without what may be secret in it: user, password, query."""
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        return one_line(url.partition("?")[0], 100)
    port = f":{parts.port}" if parts.port else ""
    return one_line(f"{parts.scheme}://{parts.host}{port}{parts.path}", 200)


async def _call(attempt: Attempt, spec: HttpSpec, client: httpx.AsyncClient, tail: Tail) -> int:
    """Make the call, following redirects; puts the body into `tail`, returns the status."""
    method = spec.method.upper()
    headers = httpx.Headers({"Idempotency-Key": attempt.run_id, "X-Cronsole-Attempt": str(attempt.attempt)})
    content: bytes | None = None
    if isinstance(spec.body, str):
        content = spec.body.encode()
    elif spec.body is not None:
        content = msgspec.json.encode(spec.body)
        headers["Content-Type"] = "application/json"
    elif method in WITH_BODY:
        content = attempt.payload_raw
        headers["Content-Type"] = "application/json"
    headers.update(spec.headers)
    cookie = headers.get("cookie")
    timeout = httpx.Timeout(None, connect=min(CONNECT_S, attempt.timeout_s or CONNECT_S))
    request = client.build_request(method, spec.url, headers=headers, content=content, timeout=timeout)
    for _ in range(REDIRECTS_MOST + 1):
        request.headers.pop("cookie", None)  # one job's cookies are not another's
        if cookie is not None:
            request.headers["cookie"] = cookie
        response = await client.send(request, stream=True, follow_redirects=False)
        try:
            onward = response.next_request
            if onward is None or _wanted(spec, response.status_code):
                async for chunk in response.aiter_bytes():
                    tail.add(chunk)
                return response.status_code
        finally:
            client.cookies.clear()
            await response.aclose()
        here, there = request.url, onward.url
        if there.host != here.host or (here.scheme == "https" and there.scheme != "https"):
            raise ValueError(f"redirects to another host, {shown(str(there))}: not followed")
        request = onward
    raise ValueError(f"more than {REDIRECTS_MOST} redirects")


def _wanted(spec: HttpSpec, status: int) -> bool:
    if spec.expect is None:
        return 200 <= status < 300
    return status == spec.expect if isinstance(spec.expect, int) else status in spec.expect


def _judged(started: int, spec: HttpSpec, status: int, tail: Tail) -> Ended:
    output = tail.text()
    if _wanted(spec, status):
        return Ended(Outcome.SUCCEEDED, started, now_us(), status, output=output)
    error = f"HTTP {status} from {spec.method.upper()} {shown(spec.url)}"
    if line := last_line(output):
        error += f": {line}"
    return Ended(Outcome.FAILED, started, now_us(), status, f"Http{status}", one_line(error, ERROR_MOST), output=output)
