"""Run history in Postgres: migrations, the recorder (outbox → COPY), keyset queries, partitions and retention."""

from backends.history.house import keep_house
from backends.history.migrate import migrate
from backends.history.queries import History
from backends.history.recorder import Recorder

__all__ = ["History", "Recorder", "keep_house", "migrate"]
