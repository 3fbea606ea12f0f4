"""`cronsole demo`."""

from __future__ import annotations

import click

from console.cli.common import writable_settings


@click.command("demo")
@click.option("--headless", is_flag=True, help="No console, even in a terminal.")
def demo_command(headless: bool) -> int:
    """Embedded servers, an engine, sample jobs and the console. It never runs in a context of the configuration file.

    Without a terminal: runs the samples for a while, prints what they did, and checks it (exit 0 or 1).
    """
    from console.demo.run import run_demo

    return int(run_demo(writable_settings("run the demo", contexts=False), headless=headless or None))
