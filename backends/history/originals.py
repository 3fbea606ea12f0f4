"""The originals of dead letters that were edited: kept beside the archive, as long as failed runs are.

Their rows have no fingerprint, which is for the dead ones, but in its column the run that went in their place: so they
are found by either run along an index, and a console needs no newer schema than the engines have made.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backends.history.archive_lists import changing, open_list

SHOWN = 20
"""Of a run at most."""

_KEEP = """
insert into cronsole.dead_archive as a (list, sequence, run_id, fingerprint, state, move, head, envelope)
values (%(list)s, %(sequence)s, %(run)s, %(by)s, 'there', %(receipt)s, %(head)s, %(envelope)s)
on conflict (list, sequence) do update
  set move = excluded.move, fingerprint = excluded.fingerprint, moved_at = now() where a.move <> excluded.move
"""
# what was taken back is no original: the letter is there again
_READ = """
select x.queue, a.run_id, a.sequence, a.head, a.envelope, a.move, a.fingerprint, a.moved_at
from cronsole.dead_archive_lists x cross join lateral (
  select * from cronsole.dead_archive r where r.list = x.list and r.run_id = %(run)s
  union all
  select * from cronsole.dead_archive r where r.list = x.list and r.fingerprint = %(run)s) a
where x.namespace = %(ns)s and x.why = 'edited' and not exists (
  select from cronsole.action u where u.receipt = a.move and u.verb = 'undo' and u.changed > 0)
order by a.moved_at desc limit %(n)s
"""
_EXPIRE = """
delete from cronsole.dead_archive a using cronsole.dead_archive_lists x
where x.why = 'edited' and a.list = x.list and a.moved_at < %s
"""


@dataclass(frozen=True, slots=True)
class KeptOriginal:
    """A letter as it was. `head`: JSON; `receipt`: of the edit; `replaced_by`: the run that went in its place."""

    queue: str
    run_id: str
    sequence: int
    head: bytes
    envelope: bytes
    receipt: str
    replaced_by: str
    edited_at: datetime


async def keep_original(
    pool: Any, namespace: str, queue: str, run_id: str, sequence: int, record: bytes, receipt: str, replaced_by: str
) -> None:
    """Keep a letter that is edited."""
    head, _, envelope = record.partition(b"\n")
    where = {"ns": namespace, "queue": queue}
    async with changing(pool, where) as connection:
        await connection.execute(
            _KEEP,
            {
                "list": await open_list(connection, where, "edited"), "sequence": sequence, "run": run_id,
                "receipt": receipt, "head": head, "envelope": envelope, "by": replaced_by,
            },
        )  # fmt: skip


async def read_originals(pool: Any, namespace: str, run_id: str) -> list[KeptOriginal]:
    """The originals of a run, and the one that it went in place of, newest first."""
    async with pool.connection() as connection:
        rows = await (await connection.execute(_READ, {"ns": namespace, "run": run_id, "n": SHOWN})).fetchall()
    return [
        KeptOriginal(queue, run, sequence, bytes(head), bytes(envelope), receipt, by, at)
        for queue, run, sequence, head, envelope, receipt, by, at in rows
    ]


async def expire_originals(connection: Any, oldest: datetime) -> None:
    """Delete those that were edited before then."""
    await connection.execute(_EXPIRE, (oldest,))
