"""The console: composition only. Screens show, the feed reads and acts, Ops decides."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import ModalScreen, Screen

from backends.errors import CronsoleError
from backends.model import now_ms
from console.feed import Feed, OpenOps, Pace
from console.screens.base import ConsoleScreen
from console.screens.overview import OverviewScreen
from console.screens.registry import NUMBERED, OVERVIEW, SCREENS
from console.settings import Preferences, has_terminal, load_preferences, log_to_file, speaks_utf8
from console.state import ConsoleState
from console.terminal_guard import guard
from console.theme import CALM, VARIABLES
from console.trail import Place, Trail
from widgets.celldiff import CellDiff
from widgets.safe import AsciiFilter, safe_line

NO_TERMINAL = "the console needs a terminal; `cronsole status` prints the same without one"


class Router:
    """Hands what the feed says to the state, to the overview, and to the screen that is in front."""

    def __init__(self, app: ConsoleApp) -> None:
        self._app = app

    def post_message(self, message: Message) -> None:
        """Take a message; returns at once."""
        app = self._app
        app.state.take(message)
        app.overview.post_message(message)
        for screen in reversed(app.screen_stack):
            if isinstance(screen, ConsoleScreen):
                screen.call_later(screen.truth_changed)
                return


class ConsoleApp(CellDiff):
    """The first frame appears before anything is connected."""

    TITLE = "cronsole"
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
        Binding("ctrl+l", "redraw", "draw anew", show=False),
        *(Binding(key, f"go('{name}')", words, show=False) for key, name, words in NUMBERED),
        Binding("escape", "retreat", "back to the screen before", show=False),
        Binding("right_square_bracket", "forward", "forward to the screen that Esc left", show=False),
    ]

    def __init__(
        self,
        open_ops: OpenOps,
        context_name: str,
        *,
        preferences: Preferences | None = None,
        clock: Callable[[], int] = now_ms,
        pace: Pace | None = None,
    ) -> None:
        super().__init__(watch_css=False)
        self.preferences = preferences or Preferences()
        self.ascii_only = not speaks_utf8() if self.preferences.ascii is None else self.preferences.ascii
        self.cell_diff = self.preferences.cell_diff
        self.animation_level = "none"
        if self.ascii_only:
            self._filters.append(AsciiFilter())
        self.register_theme(CALM)
        self.theme = CALM.name
        self.overview = OverviewScreen(safe_line(context_name, 40), self.preferences, clock, ascii_only=self.ascii_only)
        self.clock = clock
        self.state = ConsoleState(safe_line(context_name, 40))
        pace = pace or Pace(busy_s=self.preferences.tick_s)
        self.feed = Feed(open_ops, Router(self), clock=clock, pace=pace)
        self.trail = Trail()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our own names, for any theme that lacks them."""
        return VARIABLES

    def get_default_screen(self) -> Screen[None]:
        """The overview."""
        return self.overview

    def on_mount(self) -> None:
        """Guard the terminal; connect once the first frame is out."""
        if not self.is_headless:
            guard(self)
        self.call_after_refresh(self.feed.start)

    def on_unmount(self) -> None:
        """Let go of the servers."""
        self.feed.stop()

    def open(self, screen_name: str, subject: str | None = None) -> None:
        """Show the screen of that name, for one thing when `subject` (a key: a run's id, a job's name) is given.

        Esc leads back to where this was asked from. An open dialog wins: nothing happens behind it.
        """
        if not isinstance(self.screen, ModalScreen):
            self._show(self.trail.go(screen_name, subject), anew=subject is not None)

    def action_go(self, name: str) -> None:
        """Show the screen of that name."""
        self.open(name)

    def action_retreat(self) -> None:
        """The screen before this one; from the first one, nowhere."""
        if not isinstance(self.screen, ModalScreen):
            self._show(self.trail.back())

    def action_forward(self) -> None:
        """The screen that Esc left."""
        if not isinstance(self.screen, ModalScreen):
            self._show(self.trail.forward())

    def _show(self, place: Place, *, anew: bool = False) -> None:
        name, subject = place
        front = self.screen if self.screen is self.overview else self.screen_stack[-1]
        if name == OVERVIEW:
            if front is not self.overview:
                self.pop_screen()
            return
        if not self.is_screen_installed(name):
            self.install_screen(SCREENS[name](), name)
        screen: ConsoleScreen = self.get_screen(name)  # type: ignore[assignment]
        screen.open_for(subject, anew=anew)
        if front is self.overview:
            self.push_screen(name)
        elif front is not screen:
            self.switch_screen(name)

    def action_redraw(self) -> None:
        """Something else wrote to the terminal: send every cell again."""
        self.forget_screen()
        self.refresh(layout=True)

    def on_resize(self) -> None:
        """The terminal may have reflowed what it showed."""
        self.forget_screen()


def run_console(open_ops: OpenOps, context_name: str) -> int:
    """Show the console until the operator leaves; its exit code. `open_ops` connects, after the first frame."""
    if not has_terminal():
        sys.stderr.write(NO_TERMINAL + "\n")
        return 2
    try:
        preferences = load_preferences()
    except CronsoleError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    log_to_file()

    async def show() -> int:
        app = ConsoleApp(open_ops, context_name, preferences=preferences)
        try:
            await app.run_async()
        finally:
            app.feed.stop()
            await app.feed.closed()
        return app.return_code or 0

    return asyncio.run(show())
