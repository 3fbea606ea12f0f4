"""Run history in Postgres: migrations and keyset queries; `recorder` (outbox → COPY) and `house` are the engine's."""

from backends.history.migrate import migrate
from backends.history.queries import History

__all__ = ["History", "migrate"]
