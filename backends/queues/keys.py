"""Names of the Redis keys (DESIGN.md §6). All keys of a queue share one hash tag."""

from __future__ import annotations


def queue_prefix(namespace: str, queue: str) -> str:
    """What every key of a queue starts with."""
    return f"cronsole:{{{namespace}/{queue}}}:"


def queues_key(namespace: str) -> str:
    """Set: the names of all queues."""
    return f"cronsole:{{{namespace}}}:queues"


def workers_key(namespace: str) -> str:
    """Hash: engine id → heartbeat."""
    return f"cronsole:{{{namespace}}}:workers"


def events_key(namespace: str) -> str:
    """Capped stream: what just happened."""
    return f"cronsole:{{{namespace}}}:events"


def jobs_key(namespace: str) -> str:
    """Hash: job name → its published spec."""
    return f"cronsole:{{{namespace}}}:jobs"


def ops_key(namespace: str) -> str:
    """Hash: operation → its record; what else is kept of operations begins with it."""
    return f"cronsole:{{{namespace}}}:ops"
