"""Which executor runs an attempt: commands, HTTP calls, and a pool of runners per interpreter for Python callables."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from backends.engine.capacity import SLOT
from backends.engine.executors.base import Attempt, Ended
from backends.engine.executors.command import run_command
from backends.engine.executors.python import RunnerPool
from backends.engine.logs import LiveLogs
from backends.jobs.spec import JobSpec

if TYPE_CHECKING:
    import httpx

OnDone = Callable[[Sequence[tuple[Attempt, Ended]]], None]
OnBack = Callable[[Sequence[Attempt]], None]
PoolKey = tuple[str, str | None, tuple[tuple[str, str], ...]]


class Executors:
    """All executors of one engine. Every attempt that is started comes back once: through on_done or on_back."""

    def __init__(self, slots: int, logs: LiveLogs) -> None:
        self._slots = slots
        self._logs = logs
        self._pools: dict[PoolKey, RunnerPool] = {}
        self._running: dict[str, asyncio.Event] = {}  # run id → set to cancel it: commands and HTTP calls
        self._pool_of: dict[str, RunnerPool] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._http: httpx.AsyncClient | None = None

    def start(self, attempts: Sequence[tuple[Attempt, int]], on_done: OnDone, on_back: OnBack) -> None:
        """Start attempts, each with its weight. Light Python runs go to their runner in batches of about one slot."""
        batches: dict[PoolKey, list[Attempt]] = {}
        weights: dict[PoolKey, int] = {}
        for attempt, weight in attempts:
            if attempt.job.kind != "task":
                self._start_single(attempt, on_done)
                continue
            key = _pool_key(attempt.job)
            if attempt.alone:
                self._submit(key, [attempt], on_done, on_back)
                continue
            batch = batches.setdefault(key, [])
            if batch and weights[key] + weight > SLOT:
                self._submit(key, batch, on_done, on_back)
                batch = batches[key] = []
                weights[key] = 0
            batch.append(attempt)
            weights[key] = weights.get(key, 0) + weight
        for key, batch in batches.items():
            self._submit(key, batch, on_done, on_back)

    def cancel(self, run_id: str) -> None:
        """End a run, politely first."""
        event = self._running.get(run_id)
        if event is not None:
            event.set()
        else:
            for pool in self._pools.values():
                pool.cancel(run_id)

    async def close(self) -> None:
        """Stop the runners. Call when nothing runs any more."""
        await asyncio.gather(*(pool.close(1.0) for pool in self._pools.values()))
        if self._http is not None:
            await self._http.aclose()

    # --- Python callables -----------------------------------------------------------------------------------

    def _submit(self, key: PoolKey, batch: list[Attempt], on_done: OnDone, on_back: OnBack) -> None:
        pool = self._pools.get(key)
        if pool is None:
            python, cwd, env = key
            pool = self._pools[key] = RunnerPool(python, cwd, dict(env), self._slots, on_output=self._logs.write)
        pool.submit(batch, on_done, on_back)

    # --- commands and HTTP calls ----------------------------------------------------------------------------

    def _start_single(self, attempt: Attempt, on_done: OnDone) -> None:
        self._running[attempt.run_id] = asyncio.Event()
        task = asyncio.create_task(self._single(attempt, on_done), name=f"run {attempt.run_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _single(self, attempt: Attempt, on_done: OnDone) -> None:
        cancelled = self._running[attempt.run_id]
        try:
            if attempt.job.kind == "http":
                from backends.engine.executors.http import run_http

                ended = await run_http(attempt, self._http_client(), cancelled=cancelled)
            else:
                run_id = attempt.run_id
                ended = await run_command(
                    attempt, on_output=lambda chunk: self._logs.write(run_id, chunk), cancelled=cancelled
                )
        finally:
            del self._running[attempt.run_id]
        on_done([(attempt, ended)])

    def _http_client(self) -> httpx.AsyncClient:
        if self._http is None:
            import httpx

            self._http = httpx.AsyncClient(limits=httpx.Limits(max_connections=200))
        return self._http


def _pool_key(spec: JobSpec) -> PoolKey:
    return spec.python or sys.executable, spec.cwd, tuple(sorted(spec.env.items()))
