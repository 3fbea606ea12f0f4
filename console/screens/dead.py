"""Dead letters: groups by error, and the letters of the chosen group, a page at a time; r retries one."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from backends.model import DeadGroup, DeadLetter, Page, to_ms
from console.feed import ConsoleOps
from console.screens.filterable import FilterableScreen
from console.screens.pager import Pager
from console.screens.rows import age, count
from console.screens.runs import whole
from widgets.rowlist import RowList
from widgets.safe import Cell, cell, cells, safe_line
from widgets.table import Column, Row, Table

if TYPE_CHECKING:
    from backends.model import ActionResult

PAGE = 100
GROUPS_SHOWN = 100
GROUPS_S = 1.5
"""Seconds between two reads of the groups, at least."""
ALL = ""
"""Key of the row that stands for every group."""
GROUPS = (
    Column("letters", 7, align="right"), Column("job", 10, flex=2), Column("error", 14, flex=5),
    Column("queue", 8, flex=1, drop=2), Column("first", 5, align="right", drop=3), Column("last", 5, align="right"),
)  # fmt: skip
LETTERS = (
    Column("died", 5, align="right"), Column("job", 12, flex=2), Column("queue", 8, flex=1, drop=3),
    Column("try", 3, align="right", drop=2), Column("error", 14, flex=8),
)  # fmt: skip


def said(error_class: str, error: str) -> Cell:
    """An error in one line, its class set off where it is not the beginning of the text anyway."""
    text = error.split("\n", 1)[0] if error else ""
    if not error_class or text.startswith(error_class):
        return cell(text or error_class)
    return cells(cell(error_class, "dim"), cell(f" {text}"))


def group_key(group: DeadGroup) -> str:
    """What identifies a group: the same error in two queues is two groups."""
    return f"{group.group}/{group.queue}"


def group_row(group: DeadGroup, now_ms: int) -> Row:
    """A group in one line."""
    return Row(
        group_key(group),
        (
            cell(count(group.count), "bad"), cell(group.job, "strong"), said(group.error_class, group.error),
            cell(group.queue, "dim"), cell(age(now_ms - to_ms(group.first_failed_at)), "dim"),
            cell(age(now_ms - to_ms(group.last_failed_at)), "dim"),
        ),
    )  # fmt: skip


class DeadScreen(FilterableScreen):
    """Groups above their letters. What is chosen among the groups narrows the letters."""

    NAME = "dead"
    FIELDS = ("job", "queue", "group")
    DEFAULT_CSS = """
    DeadScreen {
        & #groups { height: 5; max-height: 35%; }
        & #letters { height: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_selected", "open"),
        Binding("r", "retry", "retry"),
        Binding("tab", "app.focus_next", "groups and letters"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._groups: tuple[DeadGroup, ...] = ()
        self._groups_there = 0
        self._chosen = ALL
        self._total: int | None = None
        self._retried: dict[tuple[str, int], str] = {}
        self._aged = 0
        self._seen: object = None
        self._groups_read = self._groups_due = False
        self._groups_asked = -GROUPS_S

    def body(self) -> ComposeResult:
        """Both lists and the line to filter them."""
        yield Table(*GROUPS, empty="nothing has died", id="groups", classes="panel")
        yield Table(*LETTERS, empty="no dead letter", id="letters", classes="panel")
        yield from self.filter_line()

    def on_mount(self) -> None:
        """Read the first page."""
        self._group_list, self._list = self.query_one("#groups", Table), self.query_one("#letters", Table)
        self._pager: Pager[DeadLetter] = Pager(
            self, self._list, self._ask, self._fits, lambda letter: letter.id, self._row, self._told
        )
        super().on_mount()
        self._list.focus()
        self._told()

    def on_resize(self) -> None:
        """The frames may be other ones."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        self._group_list.styles.height = self._group_list.whole_height

    # --- what is asked ---

    async def _ask(self, ops: ConsoleOps, cursor: str | None) -> Page[DeadLetter]:
        group, _, queue = self._chosen.partition("/")
        live = self.state.live
        wanted = whole(self.filter.get("queue"), [q.name for q in live.queues] if live else [])
        page = await ops.dead_heads(
            PAGE, cursor, queue=queue or wanted or "", group=group, groups=() if group else self._named_groups()
        )
        self._total = page.total
        return page

    def _named_groups(self) -> tuple[tuple[str, str], ...]:
        """The groups a filter by job or group can mean, so that their letters are looked up and not searched for."""
        named = self.filter.get("job") or self.filter.get("group")
        if not named or self._groups_there > len(self._groups):
            return ()
        return tuple((g.queue, g.group) for g in self._groups if self._named(g.job, g.queue, g.group))

    def _fits(self, letter: DeadLetter) -> bool:
        return self._named(letter.job, letter.queue, letter.group) and self.filter.matches(
            letter.job, letter.error_class, letter.error, letter.id
        )

    def _named(self, job: str, queue: str, group: str) -> bool:
        chosen = self.filter
        pairs = ((chosen.get("job"), job), (chosen.get("queue"), queue), (chosen.get("group"), group))
        return all(part.casefold() in name.casefold() for part, name in pairs if part)

    # --- what is shown ---

    def _row(self, letter: DeadLetter) -> Row:
        state = self._retried.get((letter.id, letter.sequence))
        return Row(
            letter.id,
            (
                cell(age(self.now() - to_ms(letter.failed_at)), "dim"), cell(letter.job, "dim" if state else "strong"),
                cell(letter.queue, "dim"), cell(letter.attempts, "dim"),
                cell(state, "accent") if state else said(letter.error_class, letter.error),
            ),
        )  # fmt: skip

    def _told(self) -> None:
        pager, total = self._pager, self._total
        group = self._group()
        of = f" of {count(total)}" if total is not None else ""
        if self.filter:
            read = f"{len(pager.items)} match"
            read += "" if pager.at_end else f", {count(pager.looked_at)}{of} read, G reads on"
        elif total is None:
            read = "reading …"
        else:
            read = f"{total:,}"
        words = f" · {group.job}: {group.error_class or group.error[:30]}" if group else ""
        text = f" · /{self.filter.text}" if self.filter else ""
        self._list.border_title = Content(safe_line(f"Dead letters{words} · {read}{text}"))
        self._list.show_empty("no letter matches" if self.filter or group else "no dead letter")

    def _group(self) -> DeadGroup | None:
        return next((k for k in self._groups if group_key(k) == self._chosen), None)

    def _show_groups(self) -> None:
        now = self.now()
        shown = [
            k for k in self._groups
            if self._named(k.job, k.queue, k.group) and self.filter.matches(k.job, k.error_class, k.error)
        ]  # fmt: skip
        rows = [group_row(k, now) for k in shown]
        if rows:
            total = sum(k.count for k in shown)
            least = "≥" if self._groups_there > len(self._groups) else ""
            every = (cell(f"{least}{count(total)}", "bad"), cell("all", "strong"), cell("every error", "dim"))
            rows.insert(0, Row(ALL, (*every, *(cell(""),) * 3)))
        self._group_list.set_rows(tuple(rows))
        self._fit()
        there = f" · the largest {len(self._groups)} of {count(self._groups_there)}"
        more = there if self._groups_there > len(self._groups) else f" · {len(shown)}" if shown else ""
        self._group_list.border_title = Content(f"Groups by error{more}")
        if self._chosen not in [row.key for row in rows] and rows:
            self._choose(ALL)

    # --- what arrives ---

    def show_live(self) -> None:
        """Something died, or was retried."""
        live = self.state.live
        if live is None:
            return
        seen = (live.dead_total, tuple(d.id for d in live.dead[:5]))
        if seen == self._seen and self._groups_read and self._total is not None:
            return
        self._seen = seen
        self._pager.refresh()
        self._groups_due = True
        self._read_groups()

    def _read_groups(self) -> None:
        """Groups cost more than a page: they are not read at every change of a busy system."""
        now = monotonic()
        if self._groups_due and now - self._groups_asked >= GROUPS_S:
            self._groups_due, self._groups_asked = False, now
            self.read_once(lambda ops: ops.dead_group_page(GROUPS_SHOWN), self._take_groups)

    def _take_groups(self, page: Page[DeadGroup]) -> None:
        named = self._named_groups()
        self._groups, self._groups_there, self._groups_read = page.items, page.total or len(page.items), True
        if self._named_groups() != named:
            self._pager.restart()
        self._show_groups()
        self._told()

    def show_time(self) -> None:
        """Groups that changed; ages, once a minute when all are older than that."""
        self._read_groups()
        now, items = self.now(), self._pager.items
        step = 1000 if items and now - to_ms(items[0].failed_at) < 60_000 else 60_000
        if now // step != self._aged:
            self._aged = now // step
            self._show_groups()
            self._pager.redraw()

    def filter_changed(self) -> None:
        """Another list."""
        self._show_groups()
        self._pager.restart()

    @on(RowList.Moved, "#groups")
    def _moved_group(self) -> None:
        self._choose(self._group_list.cursor_key or ALL)

    def _choose(self, key: str) -> None:
        if key != self._chosen:
            self._chosen, self._total = key, None
            self._pager.restart()

    @on(RowList.Moved, "#letters")
    def _moved(self) -> None:
        self._pager.moved(self._list.cursor_index)

    @on(RowList.Edge, "#letters")
    def _edge(self, event: RowList.Edge) -> None:
        self._pager.edge(event.side)

    # --- keys ---

    def action_open_selected(self) -> None:
        """Enter: the chosen letter; on a group, its letters."""
        if self.focused is self._group_list:
            self._list.focus()
        else:
            self._list.action_open()

    @on(RowList.Opened, "#letters")
    def _opened(self, event: RowList.Opened) -> None:
        self.shell.open("letter", event.key)

    @on(RowList.Opened, "#groups")
    def _opened_group(self) -> None:
        self._list.focus()

    def action_retry(self) -> None:
        """Put the chosen letter back into its queue."""
        letter = self._pager.item(self._list.cursor_key)
        if letter is None:
            self.tell("no dead letter to retry", "warn")
            return
        if self.focused is self._group_list:
            self.tell("r retries one letter: choose it among the letters (Tab)", "warn")
            return
        if (letter.id, letter.sequence) in self._retried:
            return
        self._mark(letter, "→ retrying")

        def told(result: ActionResult) -> str:
            self._mark(letter, "→ back in its queue" if result.changed else "no longer dead")
            return f"✓ {letter.job} is back in its queue" if result.changed else f"{letter.job} was not there any more"

        self.do(
            lambda ops: ops.dead_retry([letter.id]), told, f"{letter.job} not retried",
            lambda: self._mark(letter, ""),
        )  # fmt: skip

    def _mark(self, letter: DeadLetter, state: str) -> None:
        """What became of a letter that stays on the screen until it is read again."""
        key = letter.id, letter.sequence
        if state:
            self._retried[key] = state
        else:
            self._retried.pop(key, None)
        self._pager.redraw()
