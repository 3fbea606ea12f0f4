"""`cronsole jobs | queues | workers | status`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from console.cli.common import current_settings, json_option, with_ops
from console.cli.output import clock, coloured, iso, print_json, span, table, visible, warn
from console.cli.runs import run_row

if TYPE_CHECKING:
    from backends.model import EngineStatus, JobStatus, Pause, QueueStatus, ServerHealth
    from backends.ops import Ops
    from backends.overview import Overview


@click.command("jobs")
@json_option
def jobs_command(as_json: bool) -> None:
    """List the published jobs with their next fire and last run."""

    async def ask(ops: Ops) -> tuple[JobStatus, ...]:
        return await ops.jobs()

    found = with_ops(ask)
    if as_json:
        print_json(
            [
                {
                    "name": j.name,
                    "schedule": j.schedule,
                    "timezone": j.timezone,
                    "queue": j.queue,
                    "kind": j.kind,
                    "paused": j.paused is not None,
                    "next_fire": iso(j.next_fire),
                    "last_run": None
                    if j.last_run is None
                    else {
                        "run_id": j.last_run.run_id,
                        "outcome": j.last_run.outcome,
                        "started_at": iso(j.last_run.started_at),
                        "duration_ms": j.last_run.duration_ms,
                    },
                }
                for j in found
            ]
        )
        return
    table(
        ("JOB", "SCHEDULE", "ZONE", "QUEUE", "KIND", "NEXT FIRE", "LAST", "TOOK", "PAUSED"),
        [
            (
                j.name,
                j.schedule,
                j.timezone if j.schedule else "",
                j.queue,
                j.kind,
                clock(j.next_fire),
                j.last_run.outcome if j.last_run else "",
                _took(j.last_run.duration_ms) if j.last_run else "",
                _paused(j.paused),
            )
            for j in found
        ],
        right=("TOOK",),
        colour=("LAST",),
        empty="no jobs are published; start `cronsole engine -j jobs.toml`",
    )


@click.command("queues")
@json_option
def queues_command(as_json: bool) -> None:
    """List the queues with their depths."""

    async def ask(ops: Ops) -> tuple[QueueStatus, ...]:
        return await ops.queues()

    found = with_ops(ask)
    if as_json:
        print_json(
            [
                {
                    "name": q.name,
                    "kind": q.kind,
                    "ready": q.ready,
                    "running": q.running,
                    "later": q.later,
                    "dead": q.dead,
                    "paused": q.paused is not None,
                    "oldest_ready_seconds": q.oldest_ready_seconds,
                    "workers": q.workers,
                }
                for q in found
            ]
        )
        return
    numbers = ("READY", "RUNNING", "LATER", "WAITING", "DEAD", "INBOX", "OLDEST", "WORKERS")
    table(
        ("QUEUE", "KIND", *numbers, "PAUSED"),
        [
            (q.name, q.kind, q.ready, q.running, q.later, q.waiting, q.dead, q.inbox, span(q.oldest_ready_seconds),
             q.workers, _paused(q.paused))
            for q in found
        ],
        right=numbers,
        empty="no queues yet; start `cronsole engine -j jobs.toml`",
    )  # fmt: skip


@click.command("workers")
@json_option
def workers_command(as_json: bool) -> None:
    """List the engines that are alive."""

    async def ask(ops: Ops) -> Overview:
        return await ops.overview()

    view = with_ops(ask)
    found, last = view.engines, next(iter(view.gone), None)
    if as_json:
        print_json([_engine(e) for e in found])
        return
    heard = f"; {last.id} was last heard of {span(last.silent_ms / 1000)} ago" if last else ""
    table(
        ("ENGINE", "UP", "BUSY", "SLOTS", "MEMORY", "LAG", "QUEUES", "STATE"),
        [
            (e.id, span(_since(e.started_ms)), "?" if e.silent_ms else e.busy, e.slots, f"{e.rss_mb:.0f} MB",
             f"{e.loop_lag_ms:.0f} ms", ",".join(e.queues), _engine_state(e))
            for e in found
        ],
        right=("UP", "BUSY", "SLOTS", "MEMORY", "LAG"),
        colour=("STATE",),
        empty=f"no engine is alive; start `cronsole engine -j jobs.toml`{heard}",
    )  # fmt: skip


def _engine_state(e: EngineStatus) -> str:
    return f"silent {span(e.silent_ms / 1000)}" if e.silent_ms else "draining" if e.draining else "up"


@click.command("status")
@json_option
def status_command(as_json: bool) -> int:
    """The truth about both servers, the engines, the totals and the last runs. Exit 3 if a server can't be used."""
    from backends.ops import system_status

    settings = current_settings()
    found = asyncio.run(system_status(settings))
    names = ("ready", "running", "later", "waiting", "dead", "outbox", "inbox")
    totals = {name: sum(getattr(q, name) for q in found.queues) for name in names}
    if as_json:
        print_json(
            {
                "namespace": settings.namespace,
                "read_only": settings.read_only,
                "redis": _server(found.redis, settings.redis_url is None),
                "postgres": _server(found.postgres, settings.postgres_url is None),
                "engines": [_engine(e) for e in found.engines],
                "queues": len(found.queues),
                "totals": totals,
                "last_runs": [run_row(r) for r in found.runs],
                "warnings": list(found.warnings),
            }
        )
        return 0 if found.ok else 3
    for name, health, embedded in (
        ("Redis", found.redis, settings.redis_url is None),
        ("Postgres", found.postgres, settings.postgres_url is None),
    ):
        where = f"embedded in {settings.data_dir}" if embedded else "external"
        took = f", {health.latency_ms:.1f} ms" if health.latency_ms is not None else ""
        told = f"{health.detail} ({where}{took})" if health.ok else health.detail
        click.echo(f"{name:<10}{coloured('ok' if health.ok else 'DOWN')}: {visible(told)}")
    click.echo(f"{'Namespace':<10}{settings.namespace}{' (read-only)' if settings.read_only else ''}")
    alive = [e for e in found.engines if not e.silent_ms]
    silent = len(found.engines) - len(alive)
    busy, slots = sum(e.busy for e in alive), sum(e.slots for e in alive)
    up = f"{len(alive)} alive, {busy} of {slots} slots busy" if alive else "none alive"
    up += f", {silent} silent" if silent else ""
    click.echo(f"{'Engines':<10}{up}")
    if found.redis.ok:
        parts = ", ".join(f"{totals[n]} {n}" for n in names if n not in ("outbox", "inbox"))
        click.echo(f"{'Queues':<10}{len(found.queues)}: {parts}, {totals['inbox']} in inboxes")
        click.echo(f"{'History':<10}{totals['outbox']} outbox entries not stored yet")
    for n, r in enumerate(found.runs):
        took = f" in {_took(r.duration_ms)}" if r.duration_ms is not None else ""
        tried = f" (try {r.attempt})" if r.attempt > 1 else ""
        told = f"{clock(r.finished_at)}  {visible(r.job)} {coloured(r.outcome, visible(r.outcome))}{took}{tried}"
        click.echo(f"{'' if n else 'Last runs':<10}{told}")
    warn(found.warnings)
    return 0 if found.ok else 3


def _server(health: ServerHealth, embedded: bool) -> dict[str, object]:
    return {"ok": health.ok, "detail": health.detail, "latency_ms": health.latency_ms, "embedded": embedded}


def _engine(e: EngineStatus) -> dict[str, object]:
    from backends.model import from_ms

    return {
        "id": e.id,
        "host": e.host,
        "pid": e.pid,
        "version": e.version,
        "started_at": iso(from_ms(e.started_ms)),
        "beat_at": iso(from_ms(e.beat_ms)),
        "slots": e.slots,
        "busy": e.busy,
        "queues": list(e.queues),
        "rss_mb": e.rss_mb,
        "loop_lag_ms": e.loop_lag_ms,
        "draining": e.draining,
        "silent_ms": e.silent_ms,
    }


def _since(at_ms: int) -> float:
    return max(0.0, datetime.now(UTC).timestamp() - at_ms / 1000)


def _took(duration_ms: float | None) -> str:
    return "" if duration_ms is None else span(duration_ms / 1000)


def _paused(pause: Pause | None) -> str:
    if pause is None:
        return ""
    from backends.model import from_ms

    until = f" until {clock(from_ms(pause.until_ms))}" if pause.until_ms else ""
    return f"by {pause.by}{until}" + (f": {pause.note}" if pause.note else "")
