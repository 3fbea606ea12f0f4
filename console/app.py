"""The console: composition only. Screens show, the feed reads and acts, Ops decides."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from msgspec.structs import replace
from textual import work
from textual.binding import Binding, BindingType
from textual.events import Event, Key
from textual.message import Message
from textual.screen import ModalScreen, Screen
from textual.theme import Theme

from backends.contexts import known_instead, load_config
from backends.errors import CronsoleError
from backends.model import now_ms
from console.acts import Acts
from console.commands import History
from console.console_ops import OpenOps
from console.contexts import Choice
from console.export import Exports
from console.feed import Connected, Feed, Link, Pace
from console.in_order import InOrder
from console.keymap import KeyMap, load_keymap
from console.line import Line, LineApp
from console.memory import Memory, memory_folder, table, texts
from console.screens.base import ConsoleScreen
from console.screens.dialog import AskDialog
from console.screens.help import key_names
from console.screens.overview import OverviewScreen
from console.screens.registry import NUMBERED, OVERVIEW, SCREENS
from console.settings import Preferences, has_terminal, load_preferences, log_to_file, speaks_utf8
from console.settling import Settles
from console.state import ConsoleState
from console.terminal_guard import Guarded, guard
from console.theme import BUILT_IN, VARIABLES, load_themes, theme_for
from console.trail import Place, Trail
from widgets.rowlist import RowList
from widgets.safe import AsciiFilter, cell, safe_line

SLOWLY_S = 1.0
"""Between two looks, and two pictures, on a slow line."""
SLOW_LINE = ("the line is slow: drawn once a second", "warn")
LINE_TOLD_S = 2.0
QUICK_LINE = ("✓ the line is quick again", "ok")
SWITCH_S = 30.0
"""Keys behind a change of context wait so long: they are for the new one. It waits for no server, and takes no time."""
LEAVING = "-leaving"
NO_TERMINAL = "the console needs a terminal; `cronsole status` prints the same without one"


class Router:
    """Hands what the feed says to the state, and to the screen that is in front. One a context."""

    def __init__(self, app: ConsoleApp) -> None:
        self._app = app

    def post_message(self, message: Message) -> None:
        """Take a message; returns at once. What comes late from a context that was left is dropped."""
        app = self._app
        if app.router is not self:
            return
        app.state.take(message)
        app.acts.look(app.state.running(), app.state.ended())
        if isinstance(message, Connected):
            app.front().tell_unfinished()
        if app.low_bandwidth:
            return  # shown once a second, all together
        for screen in reversed(app.screen_stack):
            if isinstance(screen, ConsoleScreen):
                screen.call_later(screen.truth_changed)
                return


class ConsoleApp(InOrder, Exports, Guarded, Settles, LineApp):
    """The first frame appears before anything is connected."""

    TITLE = "cronsole"
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
        Binding("ctrl+l", "redraw", "draw anew", show=False, id="redraw"),
        *(Binding(key, f"go('{name}')", words, show=False, id=f"go_{name}") for key, name, words in NUMBERED),
        Binding("escape", "retreat", "back to the screen before", show=False, id="back"),
        Binding("right_square_bracket", "forward", "forward to the screen that Esc left", show=False, id="forward"),
    ]

    def __init__(
        self,
        open_ops: OpenOps,
        context_name: str,
        *,
        contexts: Sequence[Choice] = (),
        preferences: Preferences | None = None,
        themes: Mapping[str, Theme] | None = None,
        keymap: KeyMap | None = None,
        memory: Memory | None = None,
        clock: Callable[[], int] = now_ms,
        pace: Pace | None = None,
    ) -> None:
        self.preferences = preferences or Preferences()
        self.ascii_only = not speaks_utf8() if self.preferences.ascii is None else self.preferences.ascii
        asks = self.preferences.low_bandwidth is None
        self.line = Line(asks=asks, utf8=not self.ascii_only, changed=self.line_changed)
        super().__init__(watch_css=False)
        self.cell_diff = self.preferences.cell_diff
        self.animation_level = "none"
        if self.ascii_only:
            self._filters.append(AsciiFilter())
        self.themes = themes or BUILT_IN
        for theme in self.themes.values():
            self.register_theme(theme)
        self.theme = theme_for(self.preferences.theme, self.console.color_system)
        self.keymap = keymap or {}
        self.clock = clock
        self._pace = pace or Pace()
        self.contexts = {c.name: c for c in contexts} or {context_name: Choice(context_name, open_ops)}
        self._left: list[Feed] = []
        self._switching = asyncio.Lock()
        self._let_go: Callable[[], None] = lambda: None
        self._drawn = False
        self.memory = memory or Memory()
        self._enter(self.contexts[context_name])

    def _enter(self, context: Choice) -> None:
        """Nothing is known yet of this context."""
        self.context = context
        links = {name: Link(name, "connecting", self.clock()) for name in ("redis", "postgres")}
        self.state = ConsoleState(safe_line(context.name, 40), context.read_only, links, color=context.color)
        self.acts = Acts()
        self.trail = Trail()
        self._kept = self.memory.read(context.name)
        self.history = History(texts(self._kept, "history"))
        self.followed = ""  # the run that was triggered last
        self.hand: str | None = None  # the job that was looked at last
        self.overview = OverviewScreen()
        self._made: list[ConsoleScreen] = []
        self.router = Router(self)
        self.feed = Feed(context.opens, self.router, clock=self.clock, pace=self.pace)
        self._paced = self.low_bandwidth

    @property
    def low_bandwidth(self) -> bool:
        """Whether it is drawn once a second at most."""
        wanted = self.preferences.low_bandwidth
        return self.line.speed.slow if wanted is None else wanted

    @property
    def pace(self) -> Pace:
        """How often the servers are looked at."""
        return replace(self._pace, busy_s=max(self._pace.busy_s, SLOWLY_S)) if self.low_bandwidth else self._pace

    def line_changed(self) -> None:
        """The line to the terminal is free again, slow, or no longer slow."""
        self.catch_up()
        if self.low_bandwidth is not self._paced:
            self._paced = self.low_bandwidth
            self.feed.pace = self.pace
            for screen in reversed(self.screen_stack):
                if isinstance(screen, ConsoleScreen):
                    screen.tell(*(SLOW_LINE if self._paced else QUICK_LINE), LINE_TOLD_S)
                    screen.show_header()
                    break

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our own names, for any theme that lacks them."""
        return VARIABLES

    def get_default_screen(self) -> Screen[None]:
        """The overview."""
        return self.overview

    def on_mount(self) -> None:
        """Guard the terminal."""
        self.set_keymap(dict(self.keymap))
        if not self.is_headless:
            self._let_go = guard(self, self.action_redraw)
            self.theme = theme_for(self.theme, self.console.color_system)
        self.call_next(self._go_on)
        self.begin_to_settle()

    def _go_on(self) -> None:
        """Where the operator was the last time. A page of one thing is not gone back to: that thing is of yesterday."""
        last = self._kept.get("screen")
        if last != OVERVIEW and any(last == name for _, name, _ in NUMBERED):
            self.open(str(last))

    def post_display_hook(self) -> None:
        """Something has been drawn: after the first frame, connect."""
        if not self._drawn:
            self._drawn = True
            self.feed.start()

    def key_of(self, action: str, usual: str) -> str:
        """The key of an action of whichever screen, as it is printed on a keyboard."""
        return key_names(self.keymap.get(action, usual))

    def kept_of(self, screen: str) -> dict[str, Any]:
        """What was remembered of a screen."""
        return table(table(self._kept, "screens"), screen)

    def _remember(self) -> None:
        """Keep where the operator is and what he set."""
        screens = {**table(self._kept, "screens")}
        for screen in (self.overview, *self._made):  # at the end Textual has forgotten its own list of them
            screens[screen.NAME] = screen.remembered()
        here = next((p.screen for p in reversed(self.trail.past) if p.subject is None), OVERVIEW)
        self.memory.write(self.context.name, {"screen": here, "screens": screens, "history": self.history.lines})

    def on_unmount(self) -> None:
        """Let go of the servers."""
        self._remember()
        self.feed.stop()

    async def closed(self) -> None:
        """Let go of the terminal, and wait until every context that was open is closed."""
        self._let_go()
        self.feed.stop()
        await asyncio.gather(*(feed.closed() for feed in (*self._left, self.feed)))

    @work(group="context")
    async def switch_context(self, name: str) -> None:
        """Leave this context for another one. Nothing waits for a server, be it of the old one or of the new one."""
        if (driving := self.acts.driving) is not None:
            self.front().tell(f"{driving.doing} is under way: Esc stops it", "warn")
            return
        with self.keys_wait(SWITCH_S):
            async with self._switching:  # one after the other: half a switch would be no context at all
                if name != self.context.name and name in self.contexts:
                    await self._switch(self.contexts[name])

    async def _switch(self, context: Choice) -> None:
        left, asked = self.context.name, [*self.acts.asked]
        self._remember()
        self.feed.stop()
        self._left.append(self.feed)
        with self.batch_update():
            while len(self.screen_stack) > 1:
                await self.pop_screen()
            for screen in self._made:
                self.uninstall_screen(screen)
                await screen.remove()
            self.overview._push_result_callback(self, None)  # noqa: SLF001 - the first screen has none, a switch takes one
            self._enter(context)
            await self.switch_screen(self.overview)
            self._go_on()
        if asked:
            what = f"{len(asked)} actions were" if len(asked) > 1 else f"{asked[0] or 'an action'} was"
            self.front().tell(f"{what} not answered: look at the audit of {left}", "warn", until_key=True)
        self.feed.start()

    def open(self, screen_name: str, subject: str | None = None) -> None:
        """Show the screen of that name, for one thing when `subject` (a key: a run's id, a job's name) is given.

        Esc leads back to where this was asked from. An open dialog wins: nothing happens behind it.
        """
        if not isinstance(self.screen, ModalScreen):
            self._show(self.trail.go(screen_name, subject), anew=subject is not None)

    def front(self) -> ConsoleScreen:
        """The screen that is shown, also behind a dialog."""
        return next(s for s in (*reversed(self.screen_stack), self.overview) if isinstance(s, ConsoleScreen))

    def undone(self) -> None:
        """Something was taken back: what a screen says of it holds no longer."""
        for screen in (self.overview, *self._made):
            if screen.begun:
                screen.undone()

    def action_go(self, name: str) -> None:
        """Show the screen of that name."""
        self.open(name)

    def action_retreat(self) -> None:
        """Stop the operation that is under way; else the screen before this one, and from the first one nowhere."""
        if not isinstance(self.screen, ModalScreen) and not self.front().stop_driving():
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
            self._made.append(SCREENS[name]())
            self.install_screen(self._made[-1], name)
        screen: ConsoleScreen = self.get_screen(name)  # type: ignore[assignment]
        if (before := self.front()).begun:
            self.hand = before.job_in_hand() or self.hand
        screen.open_for(subject, anew=anew)
        if front is self.overview:
            self.push_screen(name)
        elif front is not screen:
            self.switch_screen(name)

    async def action_quit(self) -> None:
        """Leave; asks first where that stops an operation. Asked a second time, it leaves."""
        driving = self.acts.driving
        if driving is None or self.screen.has_class(LEAVING):
            self.exit()
            return
        lines = [cell(f"{driving.doing} is under way and stops half-way.")]
        lines += [cell("The audit can go on with it.", "dim")] if driving.progress.receipt else []
        dialog = AskDialog("Leave?", lines, "leave")
        dialog.add_class(LEAVING)
        self.push_screen(dialog, lambda yes: self.exit() if yes else None)

    async def on_event(self, event: Event) -> None:
        """A key goes to whom it is for, but what was told is seen now."""
        if isinstance(event, Key) and self.screen_stack:
            self.front().key_pressed()
        await super().on_event(event)

    def action_redraw(self) -> None:
        """Something else wrote to the terminal: send every cell again."""
        self.forget_screen()
        self.refresh(layout=True)

    def on_paste_refused(self) -> None:
        """What came with it is dropped; nobody shall wonder why."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, ConsoleScreen):
                screen.tell("✗ what was pasted tried to press keys: the rest of it is dropped", "bad")
                return

    def on_resize(self) -> None:
        """The terminal may have reflowed what it showed."""
        self.forget_screen()


def run_console(open_ops: OpenOps, context_name: str, contexts: Sequence[Choice] = ()) -> int:
    """Show the console until the operator leaves; its exit code. `open_ops` connects, after the first frame.

    `contexts`: where ``:ctx`` leads, with the one it begins with among them; empty: that one alone.
    """
    if not has_terminal():
        sys.stderr.write(NO_TERMINAL + "\n")
        return 2
    try:
        config = load_config()
        preferences, themes = load_preferences(config), load_themes(config)
        if preferences.theme not in themes:
            raise config.wrong(f"no theme {preferences.theme[:40]!r}", known_instead(preferences.theme, themes))
        keymap: KeyMap = {}
        if config.table("keys"):  # to know what keys there are takes every screen
            keymap = load_keymap(config, {OVERVIEW: OverviewScreen, **SCREENS}, (ConsoleApp, RowList))
    except CronsoleError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    log_to_file()

    async def show() -> int:
        app = ConsoleApp(
            open_ops,
            context_name,
            contexts=contexts,
            preferences=preferences,
            themes=themes,
            keymap=keymap,
            memory=Memory(memory_folder()),
        )
        try:
            await app.run_async()
        finally:
            await app.closed()
        return app.return_code or 0

    return asyncio.run(show())
