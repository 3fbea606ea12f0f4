"""`cronsole contexts`: no server is asked."""

from __future__ import annotations

import click

from console.cli.common import json_option
from console.cli.output import print_json, table


@click.command("contexts")
@json_option
def contexts_command(as_json: bool) -> None:
    """List the contexts of the configuration file; which one is current.

    Passwords are never shown. Without one that is current, CRONSOLE_REDIS_URL and CRONSOLE_POSTGRES_URL are used.
    """
    from backends.connect import without_password
    from backends.contexts import chosen, load_config

    config = load_config()
    current = chosen(config, click.get_current_context().find_root().params.get("context"))
    rows = [
        {
            "name": c.name,
            "current": current is not None and c.name == current.name,
            "redis": without_password(c.redis_url) if c.redis_url else None,
            "postgres": without_password(c.postgres_url) if c.postgres_url else None,
            "namespace": c.namespace or "default",
            "color": c.color or None,
            "read_only": c.read_only,
        }
        for c in config.contexts.values()
    ]
    if as_json:
        print_json(rows)
        return
    table(
        ("CONTEXT", "CURRENT", "REDIS", "POSTGRES", "NAMESPACE", "READ-ONLY"),
        [
            (
                row["name"], "current" if row["current"] else "", row["redis"] or "embedded",
                row["postgres"] or "embedded", row["namespace"], "read-only" if row["read_only"] else "",
            )
            for row in rows
        ],
        empty=f"no contexts; write [contexts.NAME] with redis_url and postgres_url into {config.path}",
    )  # fmt: skip
