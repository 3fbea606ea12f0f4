"""One run: its life as a waterfall, what is known of the chosen attempt, and its output, live while it runs."""

from __future__ import annotations

import codecs
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content

from backends.errors import BadInputError, CronsoleError
from backends.model import RunningRow
from console.console_ops import ConsoleOps
from console.feed import one_line
from console.printed import SEAMS, after_tail, is_live, queue_of, tail_of
from console.screens.help import PanelKeys
from console.screens.run_acts import RunActs
from console.screens.run_looks import COLUMNS, attempt_lines, head_lines, marks, place_lines, planned_ms, spans
from widgets.logpane import LogPane
from widgets.rowlist import RowList
from widgets.safe import cell
from widgets.statusline import StatusLine
from widgets.waterfall import Waterfall

if TYPE_CHECKING:
    from backends.model import RunRow
    from backends.ops.output import RunPage
    from backends.queues.where import LogPart

WIDE = 110
LOOK_S = 0.5
STEPS = 8
"""So many reads of live output follow each other where much has come since the last look."""
ENDED_LOOKS = 8
"""A run that has ended may be replayed: it is looked at every so many looks."""
WHY_LOOKS = 4
"""Why one does not run is asked every so many looks."""
QUEUED = ("ready", "later", "waiting")


@dataclass(frozen=True, slots=True)
class _Look:
    """What one look found."""

    page: RunPage | None = None
    number: int | None = None
    log: LogPart | None = None
    output: str | None = None
    replays: tuple[RunRow, ...] | None = None
    reasons: tuple[str, ...] | None = None
    wrong: str = ""


class RunScreen(RunActs):
    """The waterfall above; facts and output of the chosen attempt below it."""

    NAME = "run"
    AUTO_FOCUS = "Waterfall"
    DEFAULT_CSS = """
    RunScreen {
        & #facts1, & #facts2 { background: $panel; }
        & #attempts { height: 5; max-height: 40%; }
        & #both { height: 1fr; layout: vertical; }
        & #facts { height: 35%; padding: 0 1; }
        & #output { height: 1fr; padding: 0 1; }
        &.-wide #both { layout: horizontal; }
        &.-wide #facts { width: 40%; height: 1fr; }
        &.-wide #output { width: 1fr; height: 1fr; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._reasons: tuple[str, ...] = ()
        self._looks = 0
        self._pick: int | None = None
        self._forget_output()

    def _forget_output(self) -> None:
        self._shown: tuple[int, bool] | None = None
        """Which attempt's output is shown, and whether it is live."""
        self._after, self._cut = "", False
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def body(self) -> ComposeResult:
        """Two lines of facts, the waterfall, facts and output."""
        yield StatusLine(id="facts1")
        yield StatusLine(id="facts2")
        yield Waterfall(*COLUMNS, id="attempts", classes="panel")
        with Container(id="both"):
            yield LogPane(id="facts", classes="panel")
            yield LogPane(empty="no run is chosen: Enter on a run opens it here", id="output", classes="panel")

    def on_mount(self) -> None:
        """Titles; the run if it is known already."""
        self._attempts = self.query_one(Waterfall)
        self._facts, self._output = self.query_one("#facts", LogPane), self.query_one("#output", LogPane)
        self._attempts.EMPTY = ""
        self._facts.border_title, self._output.border_title = Content("Attempt"), Content("Output")
        self._attempts.border_title = Content("Attempts")
        super().on_mount()

    def on_resize(self) -> None:
        """Side by side where there is room."""
        self.set_class(self.size.width >= WIDE, "-wide")
        self.call_after_refresh(self._fit)

    # --- reading ---

    def show_subject(self, subject: str | None) -> None:
        """Another run."""
        self.workers.cancel_group(self, "reading")
        self.page, self._looks, self._pick = None, 0, None
        self.replays, self._reasons = (), ()
        self._forget_output()
        self._attempts.show((), (), self.now())
        self._facts.show(())
        self.query_one("#facts2", StatusLine).show(())
        self.show_unread()
        self._title()
        if subject:
            self._look_again()

    def show_unread(self) -> None:
        """Of the run, or of what its attempt printed."""
        if self.page is None:
            self.query_one("#facts1", StatusLine).show(cell(f" {self.unread if self.subject else 'no run'}", "dim"))
        if self._shown is None:
            self._output.show((), empty=self.unread if self.subject else "no run is chosen")

    def _look_again(self) -> None:
        """At once, and then twice a second."""
        subject = self.subject
        if subject:
            self.keep_reading(lambda ops: self._look(ops, subject), lambda look: self._take(subject, look), LOOK_S)

    async def _look(self, ops: ConsoleOps, run_id: str) -> _Look:
        """The page (rarely where nothing moves), then what is new of the output of the chosen attempt."""
        known, log, output, page = self.page, None, None, None
        self._looks += 1
        if known is None or known.place is not None or self._looks % ENDED_LOOKS == 0:
            try:
                page = await ops.run_page(run_id)
            except BadInputError as error:
                if known is None:
                    return _Look(wrong=one_line(error))
        now = page or known
        number = self._number(now)
        replays, reasons = await self._beside(ops, now)
        if now is None or number is None:
            return _Look(page, replays=replays, reasons=reasons)
        live = self._shown == (number, True)
        if is_live(now, number) or live:
            log = await ops.run_log(queue_of(now), run_id, self._after if live else "", number)
            for _ in range(STEPS):
                if not log.more:
                    break
                part = await ops.run_log(queue_of(now), run_id, log.last, number)
                log = replace(part, chunks=log.chunks + part.chunks, cut=log.cut)
        if any(attempt.attempt == number for attempt in now.attempts) and self._shown != (number, False):
            output = await ops.run_output(run_id, number)
        return _Look(page, number, log, output, replays, reasons)

    async def _beside(
        self, ops: ConsoleOps, page: RunPage | None
    ) -> tuple[tuple[RunRow, ...] | None, tuple[str, ...] | None]:
        """What replays it, and why it does not run; None for what is not asked at this look."""
        if page is None:
            return None, None
        replays: tuple[RunRow, ...] | None = None
        if page.attempts and self._looks % ENDED_LOOKS == 1:
            with contextlib.suppress(CronsoleError):  # the page says already that history is away
                replays = await ops.run_replays(page.run_id)
        if page.place is None or page.place.state not in QUEUED:
            return replays, ()
        if self._looks % WHY_LOOKS != 1:
            return replays, None
        return replays, (await ops.why(page.run_id)).reasons

    def _number(self, page: RunPage | None) -> int | None:
        """The attempt that is looked at: the chosen one, else the one that runs, else the newest that ended."""
        if self._pick is not None or page is None:
            return self._pick
        if page.place is not None and (page.place.state == "running" or not page.attempts):
            return page.place.attempt or None
        return page.attempts[-1].attempt if page.attempts else None

    def _take(self, subject: str, look: _Look) -> None:
        if subject != self.subject:
            return
        if look.wrong:
            self.query_one("#facts1", StatusLine).show(cell(f" {look.wrong}", "warn"))
            self._output.show((), empty="nothing is known of it")
            return
        reasons = self._reasons if look.reasons is None else look.reasons
        replays = self.replays if look.replays is None else look.replays
        known = (self.page, self._reasons, self.replays)
        self.page, self._reasons, self.replays = look.page or self.page, reasons, replays
        if (self.page, self._reasons, self.replays) != known:
            self._show_page()
        self._take_output(look)

    def _take_output(self, look: _Look) -> None:
        page, number = self.page, look.number
        if page is None or number != self._number(page):
            return
        if number is None or not (is_live(page, number) or any(a.attempt == number for a in page.attempts)):
            if self._shown is not None or not self._output.line_count:
                self._forget_output()
                self._output.show((), empty="it has not begun")
            self._title()
            return
        if look.log is not None:
            if self._shown != (number, True):
                self._forget_output()
                self._shown = (number, True)
                self._output.show((), empty="nothing printed yet", follow=True)
                if look.log.cut:
                    self._output.append("… what it printed before is not shown\n")
            self._after = look.log.last
            self._output.append("".join(map(self._decoder.decode, look.log.chunks)))
        if any(a.attempt == number for a in page.attempts) and self._shown != (number, False):
            self._end_output(look.output or "", was_live=self._shown == (number, True))
            self._shown = (number, False)
        self._title()

    def _end_output(self, stored: str, *, was_live: bool) -> None:
        """What is stored of it; what came live stays where that is more, and gets the end that is missing."""
        pane = self._output
        if was_live and pane.char_count >= len(stored):
            for size in SEAMS:
                rest = after_tail(stored, pane.tail(size))
                if rest is not None:
                    pane.append(rest)
                    return
        self._cut, text = tail_of(stored)
        pane.show(text.removesuffix("\n").split("\n") if text else (), empty="it printed nothing", follow=True)

    # --- showing ---

    def _show_page(self) -> None:
        page = self.page
        if page is None:
            return
        lines = head_lines(page, self.zone, self.newest_replay(), self.key("replays"), self.key("original"))
        for name, line in zip(("#facts1", "#facts2"), lines, strict=True):
            self.query_one(name, StatusLine).show(line)
        self.show_keys()
        self.show_time()
        number, keys = self._number(page), list(self._attempts.keys)
        if str(number) in keys and self._attempts.cursor_key != str(number):
            self._attempts.choose(keys.index(str(number)))
        self._fit()
        self._show_attempt()

    def _show_attempt(self) -> None:
        page = self.page
        number = self._number(page)
        self._facts.border_title = Content(f"Attempt {number}" if number else "Attempt")
        found = next((a for a in page.attempts if a.attempt == number), None) if page else None
        if page and found:
            self._facts.replace(attempt_lines(page.run_id, found, self.zone))
        else:
            self._facts.replace(place_lines(page, self._in_hand(), self.zone, self._reasons))

    def replays_changed(self) -> None:
        """One was sent from here."""
        self._show_page()

    def _fit(self) -> None:
        self._attempts.styles.height = self._attempts.whole_height

    def show_live(self) -> None:
        """An engine may have taken it."""
        self.show_time()

    def show_time(self) -> None:
        """What runs grows."""
        page, now = self.page, self.now()
        if page is None:
            return
        lines = spans(page, self._in_hand(), now)
        self._attempts.show(lines, marks(page, lines, now, self.zone), now, planned_ms(page))
        count = len(page.attempts)
        self._attempts.border_title = Content(f"Attempts · {count} ended" if count else "Attempts")

    def _in_hand(self) -> RunningRow | None:
        live, page = self.state.live, self.page
        if live is None or page is None or page.place is None:
            return None
        return next(
            (r for e in live.engines for r in e.running if r.run_id == page.run_id and r.attempt == page.place.attempt),
            None,
        )

    @on(LogPane.Moved, "#output")
    def _title(self) -> None:
        pane, words = self._output, "Output"
        if self._shown is not None:
            lines = pane.dropped + pane.line_count
            words += f" · {lines:,} line{'' if lines == 1 else 's'}"
            words += " · the tail" if self._cut else ""
            if self._shown[1]:
                words += " · live" if pane.following else " · live, G follows"
        pane.border_title = Content(words)

    @on(RowList.Moved, "#attempts")
    def _moved(self, event: RowList.Moved) -> None:
        self._pick = None
        if event.key != str(self._number(self.page)):
            self._pick = int(event.key)
        if self._shown is None or self._shown[0] != self._number(self.page):
            self._forget_output()
            self.show_unread()
            self._show_attempt()
            self._look_again()

    # --- keys ---

    def copied(self, rows: RowList) -> str:
        """Its id, whichever attempt is chosen."""
        return self.subject or ""

    def panel_keys(self) -> PanelKeys:
        """Those of the output."""
        return (("In the output", LogPane.BINDINGS),)
