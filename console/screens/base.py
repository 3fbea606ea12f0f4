"""What every screen of the console shares: header, banner, foot, notices, and what it was opened for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.events import Mount
from textual.message import Message
from textual.strip import Strip

if TYPE_CHECKING:
    from console.screens.pager import Pager

from console.commands import Command
from console.error_words import in_console
from console.keymap import class_bindings, mapped
from console.records import Records
from console.screens.acts_looks import progress_line, undo_line
from console.screens.careful import CarefulScreen
from console.screens.dialog import AskDialog
from console.screens.header import banner, context_cell, header
from console.screens.help import HelpDialog, PanelKeys, key_groups, key_names
from console.screens.layout import LEAST, LOW
from console.screens.palette import Palette
from console.screens.rows import age
from widgets.named import named
from widgets.notice import Notice
from widgets.rowlist import RowList
from widgets.safe import Cell, cell, cells, width_of
from widgets.statusline import StatusLine

NOTICE_S = 6.0
NOTICE_MOST = 600
"""Characters of a notice that are looked at."""
RUN_ID = re.compile(r"\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{4}([0-9a-f]{8})\b")
ATTEMPT = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/\d+")
"""The key of an attempt's row."""
EVERYWHERE = ("command", "help", "quit")
"""What the foot of every screen ends with."""
FRAME = """
ConsoleScreen {
    background: $background;
    layers: default over; overflow: hidden;
    & #keys { dock: bottom; }
    & #small { layer: over; dock: top; height: 100%; display: none; background: $background; }
    &.-tiny #small { display: block; }
    & #banner, & #acts, & #notice { display: none; background: $panel; }
    & #banner.-on, & #acts.-on, & #notice.-on { display: block; }
    & .panel {
        border: round $line; border-title-color: $text-dim; border-subtitle-color: $text-dim; padding: 0;
        &:focus { border: round $line-focus; border-title-color: $text-strong; border-title-style: bold; }
    }
    &.-ascii .panel { border: ascii $line; &:focus { border: ascii $line-focus; } }
    &.-short .panel { border: none; border-top: solid $line; &:focus { border-top: solid $line-focus; } }
    &.-short.-ascii .panel { border: none; border-top: ascii $line; &:focus { border-top: ascii $line-focus; } }
}
"""


def _foot(bindings: Iterable[Binding]) -> Cell:
    return cells(*(cells(cell(" " + key_names(b.key), "key"), cell(f" {b.description} ", "dim")) for b in bindings))


class TooSmall(StatusLine):
    """Lies over the whole screen, with one line."""

    def render_line(self, y: int) -> Strip:
        """The line, and nothing below it."""
        return super().render_line(y) if y == 0 else self.strip(())


class ConsoleScreen(CarefulScreen):
    """A screen between the header and the line of keys. Subclasses say what the body is and show `state` in it.

    `NAME` is how the operator calls it (``:runs``); `TITLE` what stands above it.
    """

    NAME: ClassVar[str] = ""
    DEFAULT_CSS = FRAME
    BINDINGS: ClassVar[list[BindingType]] = named(
        [
            Binding("tab", "app.focus_next", "next panel", show=False),
            Binding("shift+tab", "app.focus_previous", "previous panel", show=False),
            Binding("F", "follow", "follow the run triggered last", show=False),
            Binding("u", "undo", "undo", show=False),
            Binding("slash", "filter", "filter, where there is a list", show=False),
            Binding("colon", "command", "command"),
            Binding("question_mark", "help", "help"),
            Binding("q", "app.quit", "quit"),
        ]
    )

    def __init_subclass__(cls, **options: bool) -> None:
        """Every key of a screen can be mapped."""
        if "BINDINGS" in cls.__dict__:
            cls.BINDINGS = named(cls.BINDINGS)
        super().__init_subclass__(**options)

    def __init__(self) -> None:
        super().__init__()
        self.subject: str | None = None
        self.pagers: dict[RowList, Pager[Any]] = {}
        """Those of lists that are read page by page."""
        self._framed = self._begun = False
        self._notice: Cell = ()
        self._acts: Cell = ()
        self._notices = 0
        self._until_key = self._told_long = False
        self._unread = RowList.UNREAD

    # --- what a subclass provides ---

    def body(self) -> ComposeResult:
        """The widgets between header and foot."""
        yield from ()

    def show_subject(self, subject: str | None) -> None:
        """The screen was opened for one thing: its key. None: for no thing any more. Comes when `on_mount` is over."""

    def panel_keys(self) -> PanelKeys:
        """Keys of a panel that is no list, for the help: (where, bindings)."""
        return ()

    def remembered(self) -> dict[str, str | int | float | bool]:
        """What the operator set here and finds again next time: a filter, a zoom."""
        return {}

    def recall(self, kept: Mapping[str, object]) -> None:
        """What `remembered` gave the last time, if it did: any key may be missing, any value of another type."""

    def show_live(self) -> None:
        """`state.live` is new, or the screen has come to the front."""

    def show_history(self) -> None:
        """`state.history` is new, or the screen has come to the front."""

    def show_unread(self) -> None:
        """`unread` has other words: show them where nothing but lists is not known yet."""

    def show_time(self) -> None:
        """A second has passed."""

    @property
    def begun(self) -> bool:
        """Whether every part of it is there."""
        return self._begun

    def job_in_hand(self) -> str | None:
        """The job that the operator is looking at; None where it is none."""
        return None

    def records(self, rows: RowList) -> Records | None:
        """What a list that is held whole shows, as values; None where there is no more to it than its looks."""
        return None

    def copied(self, rows: RowList) -> str:
        """What is copied of the chosen row: of an attempt its run, which is what everything asks for."""
        key = rows.cursor_key or ""
        return key.rpartition("/")[0] if ATTEMPT.fullmatch(key) else key

    def undone(self) -> None:
        """Something was taken back, here or on another screen."""

    # --- the frame ---

    def open_for(self, subject: str | None, *, anew: bool) -> None:
        """The app brings this screen to the front for `subject`; `anew`: asked for just now, not come back to."""
        if self.subject == subject and not anew:
            return
        self.subject = subject
        if self._begun:
            self.show_subject(subject)

    def compose(self) -> ComposeResult:
        """Top to bottom."""
        yield StatusLine(id="header")
        yield StatusLine(id="banner")
        yield from self.body()
        yield StatusLine(id="acts")
        yield Notice(id="notice")
        yield StatusLine(id="keys")
        yield TooSmall(id="small")

    def on_mount(self) -> None:
        """The frame, once: Textual calls this for each class, and subclasses call it too."""
        if self._framed:
            return
        self._framed = True
        self.set_class(self.shell.ascii_only, "-ascii")
        self.set_interval(1.0, self.pass_time)
        self.show_keys()
        self.show_header()
        self.call_next(self._begin)

    async def _dispatch_message(self, message: Message) -> None:
        """The app may be left while a screen is made: its widgets are gone then before it is mounted."""
        try:
            await super()._dispatch_message(message)
        except NoMatches:
            if not (isinstance(message, Mount) and self.app._exit):  # noqa: SLF001
                raise

    def _begin(self) -> None:
        """Every class is mounted."""
        self._begun = True
        kept = self.shell.kept_of(self.NAME)
        if kept:
            self.recall(kept)
        if self.subject is not None:
            self.show_subject(self.subject)
        self.truth_changed()

    def on_screen_resume(self) -> None:
        """What is known may have changed while another screen was shown."""
        self.truth_changed()

    def truth_changed(self) -> None:
        """Show everything that is known."""
        self.show_header()
        self.show_acts()
        if not self._begun:
            return
        if self.unread != self._unread:
            self._unread = self.unread
            for rows in self.query(RowList):
                rows.explain_unread(self._unread)
            self.show_unread()
            self.answers.set()
        if self.state.live is not None:
            self.show_live()
        if self.state.history is not None:
            self.show_history()

    def on_resize(self) -> None:
        """Borders only where there is room for them; a word instead of everything where there is room for nothing."""
        width, height = self.size
        self.set_class(height < LOW, "-low")
        self.set_class(width < LEAST[0] or height < LEAST[1], "-tiny")
        self.query_one("#small", TooSmall).show(cell(f"needs {LEAST[0]}×{LEAST[1]}, is {width}×{height}", "warn"))
        self.set_class(self.size.height < 34 or self.size.width < 90, "-short")
        self.show_keys()
        self.show_header()

    def pass_time(self) -> None:
        """Once a second: clock and ages; on a slow line also all that came meanwhile."""
        if self.is_current:
            if self.shell.low_bandwidth:
                self.truth_changed()
            else:
                self.show_header()
            self.show_acts()
            self.show_time()

    def show_header(self) -> None:
        """Header and banner."""
        state, now = self.state, self.now()
        live = state.live
        self.query_one("#header", StatusLine).show(
            *header(
                context_cell(state.context, state.color), state.read_only, state.links, live.engines if live else None,
                live.dead_total if live else 0, now, self.zone, self.size.width, slow=self.shell.low_bandwidth,
            )
        )  # fmt: skip
        trouble = banner(state.links, now, self.zone, self.size.width)
        line = self.query_one("#banner", StatusLine)
        line.set_class(bool(trouble), "-on")
        line.show(trouble)

    def show_acts(self) -> None:
        """The line above the foot: how far the operation under way is, else what can be taken back."""
        acts, now = self.shell.acts, self.now()
        driving, act = acts.driving, acts.newest(now)
        shown: Cell = ()
        if driving is not None:
            p = driving.progress
            shown = progress_line(driving.doing, p.scanned, p.total, p.rate, p.left_s, stopping=driving.stopping)
        elif self.OFFERS_UNDO and act is not None and act.is_recent(now) and not act.late:
            shown = undo_line(self.key("undo"), act.words, now, act.begins_ms, act.until_ms)
        if shown != self._acts:
            self._acts = shown
            for line in self.query("#acts").results(StatusLine):  # none any more where the app is left meanwhile
                line.set_class(bool(shown), "-on")
                line.show(shown)

    def show_keys(self) -> None:
        """The foot: this screen's keys as far as there is room, those of every screen, and the newest notice.

        A notice that does not fit beside the keys has lines of its own above them.
        """
        own, common = self.own_bindings(), [b for b in self.all_bindings() if b.show and b.id in EVERYWHERE]
        beside = width_of(_foot([*own, *common])) + 1 + width_of(self._notice) <= self.size.width
        for notice in self.query("#notice").results(Notice):
            notice.set_class(not beside and bool(self._notice), "-on")
            notice.show(() if beside else cells(" ", self._notice), self.size.width)
        room = self.size.width - (width_of(self._notice) + 1 if beside and self._notice else 0)
        while (own or common) and width_of(_foot([*own, *common])) > room:
            own.pop() if own else common.pop(0)
        for line in self.query("#keys").results(StatusLine):  # there is none once the console was left
            line.show(_foot([*own, *common]), self._notice if beside else ())

    def all_bindings(self) -> list[Binding]:
        """Those of the screen itself, then those of every screen, on the keys they are mapped to."""
        return mapped(class_bindings(type(self)), self.shell.keymap)

    def key(self, action: str) -> str:
        """The key of an action, as it is printed on a keyboard."""
        return next((key_names(b.key) for b in self.all_bindings() if b.id == action), "")

    def tell(self, text: str, tone: str = "ok", seconds: float = 0.0, *, until_key: bool = False) -> None:
        """A notice at the foot, for some seconds (0: as long as any); `until_key`: and then until a key is pressed."""
        text = RUN_ID.sub(r"…\1", in_console(text, self.shell.key_of))
        self._notice = cells(cell(text[:NOTICE_MOST], tone), " ")
        self._notices += 1
        self._until_key, self._told_long = until_key, False
        self.set_timer(seconds or NOTICE_S, lambda number=self._notices: self._forget_notice(number))
        self.show_keys()

    def _forget_notice(self, number: int) -> None:
        if number != self._notices:
            return
        if self._until_key:
            self._told_long = True
        else:
            self._drop_notice()

    def _drop_notice(self) -> None:
        self._notice = ()
        self.show_keys()

    def key_pressed(self) -> None:
        """What stays until then has been seen."""
        if self._until_key:
            self._until_key = False
            if self._told_long:
                self._drop_notice()

    # --- keys ---

    def own_bindings(self) -> list[Binding]:
        """What can be done on this screen and not on every one."""
        return [b for b in self.all_bindings() if b.show and b.id not in EVERYWHERE]

    def action_undo(self) -> None:
        """Take back what was done last from this console; asks first where that is a while ago."""
        acts, now = self.shell.acts, self.now()
        act = acts.newest(now)
        if act is None:
            self.tell("nothing that was done from here can be taken back; the audit has the rest", "warn")
            return
        if act.late:
            acts.forget(*act.receipts)  # the next key means what was done before
            cancels = self.shell.key_of("cancel", "c")
            ends = "" if act.late == "has ended" else f"; {cancels} on its page ends it"
            self.tell(f"too late to take back {act.words}: it {act.late}{ends}", "warn")
            return
        if act.is_recent(now):
            self.take_back(act.receipts, act.words)
            return
        lines = [cell(act.words, "strong"), cell(f"done {age(now - act.at_ms)} ago", "dim")]
        self.app.push_screen(
            AskDialog("Take this back?", lines, "take it back"),
            lambda yes: self.take_back(act.receipts, act.words) if yes else None,
        )

    def action_filter(self) -> None:
        """Nobody shall type on, believing that a line took the key."""
        self.tell("no filter on this page: what is typed now are keys", "warn")

    def action_command(self) -> None:
        """Type a command."""
        from console.screens.said import commands  # it knows every screen, and each is built on this module

        self.app.push_screen(Palette(commands(self), self.shell.history), self._say)

    def _say(self, command: Command | None) -> None:
        if command is not None:
            self.shell.history.add(command.text)
            self.call_later(command.run)

    def action_follow(self) -> None:
        """The page of the run that was triggered last."""
        if self.shell.followed:
            self.shell.open("run", self.shell.followed)
        else:
            self.tell(f"nothing was triggered from here yet: {self.key('trigger') or 't'} triggers a job", "warn")

    def action_help(self) -> None:
        """All keys."""
        self.app.push_screen(HelpDialog(key_groups(self, ConsoleScreen)))
