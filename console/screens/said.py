"""Every command of ``:`` at this moment: screens, what this screen can do, jobs, queues, contexts, themes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from textual.binding import Binding

from console.commands import Command
from console.keymap import class_bindings, mapped
from console.screens.help import key_names
from console.screens.queues_pause import pause_or_resume
from console.screens.registry import NUMBERED, SCREENS

if TYPE_CHECKING:
    from console.screens.base import ConsoleScreen


EXPORTS = {"copy": "copy", "csv": "write_csv", "json": "write_json", "view": "view", "suspend": "suspend"}
"""Command → action of the app."""
OTHERWISE = ("command", "help", "quit", "undo", "clear_filter", "leave", "focus_next", "focus_previous")
"""Actions that are commands by another name, or none that anybody would type."""


def commands(screen: ConsoleScreen) -> list[Command]:
    """In the order in which they are offered when nothing is typed."""
    shown = screen.own_bindings()
    here, more = _here(screen, shown), _here(screen, _more(screen, shown))
    return [*here, *_screens(screen), *_app(screen), *_exports(screen), *more, *_queues(screen), *_jobs(screen)]


def _here(screen: ConsoleScreen, bindings: Iterable[Binding]) -> Iterator[Command]:
    for binding in bindings:
        act = partial(screen.run_action, binding.action)
        yield Command(binding.description, "on this screen", partial(screen.call_next, act), key_names(binding.key))


def _more(screen: ConsoleScreen, shown: Iterable[Binding]) -> Iterator[Binding]:
    """What has a key here that the foot does not show, and is not said in other words."""
    actions = {binding.action for binding in shown}
    for binding in screen.all_bindings():
        if binding.action not in actions and binding.id not in OTHERWISE:
            actions.add(binding.action)
            yield binding


def _exports(screen: ConsoleScreen) -> Iterator[Command]:
    app = screen.shell
    bindings = {binding.id: binding for binding in mapped(class_bindings(type(app)), app.keymap)}
    for name, action in EXPORTS.items():
        binding = bindings[action]
        act = partial(app.run_action, binding.action)
        yield Command(name, binding.description, partial(screen.call_next, act), key_names(binding.key))


def _screens(screen: ConsoleScreen) -> Iterator[Command]:
    keymap = screen.shell.keymap
    for key, name, words in NUMBERED:
        shown = key_names(keymap.get(f"go_{name}", key))
        yield Command(name, f"the screen {words}", partial(screen.shell.open, name), shown)


def _app(screen: ConsoleScreen) -> Iterator[Command]:
    app = screen.shell
    for name, choice in app.contexts.items():
        if choice is not app.context:
            about = "switch to this context" + (", read-only" if choice.read_only else "")
            yield Command(f"ctx {name}", about, partial(app.switch_context, name))
    for name in app.themes:
        if name != app.theme:
            yield Command(f"theme {name}", "until the console is left", partial(setattr, app, "theme", name))
    undo = partial(screen.call_next, partial(screen.run_action, "undo"))
    yield Command("undo", "take back what was done last from here", undo, screen.key("undo"))
    yield Command("help", "every key of this screen", screen.action_help, screen.key("help"))
    yield Command("redraw", "send every cell again", app.action_redraw, key_names(app.keymap.get("redraw", "ctrl+l")))
    yield Command("quit", "leave the console", app.action_quit, screen.key("quit"), also=("q", "q!", "qa", "qa!"))


def _queues(screen: ConsoleScreen) -> Iterator[Command]:
    live = screen.state.live
    for queue in live.queues if live else ():
        if "queue" in SCREENS:
            yield Command(f"queue {queue.name}", "look at this queue", partial(screen.shell.open, "queue", queue.name))
        yield _pausing(screen, f"queue:{queue.name}", paused=queue.paused is not None)


def _jobs(screen: ConsoleScreen) -> Iterable[Command]:
    live = screen.state.live
    for job in live.jobs if live else ():
        if "job" in SCREENS:
            yield Command(f"job {job.name}", "look at this job", partial(screen.shell.open, "job", job.name))
        yield Command(f"trigger {job.name}", "run it now: asks first", partial(screen.ask_trigger, job.name))
        yield _pausing(screen, f"job:{job.name}", paused=job.paused is not None)


def _pausing(screen: ConsoleScreen, target: str, *, paused: bool) -> Command:
    if paused:
        return Command(f"resume {target}", "hand its runs out again", partial(screen.resume, target))
    pause = partial(pause_or_resume, screen, target, None)
    return Command(f"pause {target}", "hand out no more of its runs: asks first", pause)
