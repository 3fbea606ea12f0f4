"""Dead letters: groups by error, and the letters of the chosen group, a page at a time; one or many are acted on."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import ClassVar

from msgspec.structs import replace
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from backends.model import DeadGroup, DeadLetter, Page, to_ms
from backends.ops.kinds import Marked
from backends.ops.letters import Place, Selection
from console.console_ops import ConsoleOps
from console.records import Records, record
from console.screens import letter_acts
from console.screens.dead_looks import GROUPS, LETTERS, group_key, group_row, letter_row
from console.screens.dead_scope import FIELDS, filtered, scope
from console.screens.editing import edit_letter
from console.screens.filterable import FilterableScreen
from console.screens.letter_acts import PURGE, RETRY, Deed
from console.screens.pager import Pager
from console.screens.pages import Back
from console.screens.rows import count
from widgets.rowlist import RowList
from widgets.safe import cell, safe_line
from widgets.table import Row, Table

PAGE = 100
GROUPS_SHOWN = 100
GROUPS_S = 1.5
"""Seconds between two reads of the groups, at least."""
ALL = ""
"""Key of the row that stands for every group."""


class DeadScreen(FilterableScreen):
    """Groups above their letters. What is chosen among the groups narrows the letters."""

    NAME = "dead"
    AUTO_FOCUS = "#letters"
    FIELDS = FIELDS
    DEFAULT_CSS = """
    DeadScreen {
        & #groups { height: 5; max-height: 35%; }
        & #letters { height: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "retry", "retry"),
        Binding("x", "purge", "purge"),
        Binding("e", "edit_replay", "edit & replay"),
        Binding("space", "mark", "mark"),
        Binding("enter", "open_selected", "open"),
        Binding("R", "retry_all", "retry all shown"),
        Binding("X", "purge_all", "purge all shown"),
        Binding("tab", "app.focus_next", "groups and letters"),
        Binding("M", "drop_marks", "drop the marks"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._groups: tuple[DeadGroup, ...] = ()
        self._groups_there = 0
        self._chosen = ALL
        self._total: int | None = None
        self._states: dict[tuple[str, int], str] = {}
        """(run id, sequence) → what became of a letter that stays shown until it is read again."""
        self._marks: dict[str, tuple[str, str, int]] = {}
        """By row: (queue, run id, sequence)."""
        self._selection = Selection()
        self._aged = 0
        self._seen: object = None
        self._groups_read = self._groups_due = False
        self._groups_asked = -GROUPS_S

    def body(self) -> ComposeResult:
        """Both lists and the line to filter them."""
        yield Table(*GROUPS, empty="nothing has died", id="groups", classes="panel")
        yield Table(*LETTERS, empty="no dead letter", marks=True, id="letters", classes="panel")
        yield from self.filter_line()

    def on_mount(self) -> None:
        """Read the first page."""
        self._group_list, self._list = self.query_one("#groups", Table), self.query_one("#letters", Table)
        self._pager: Pager[DeadLetter] = Pager(
            self, self._list, self._ask, self._fits, lambda letter: letter.id, self._row, self._told,
            self._is_kept, Back(self._ask_back, Place.of, self._looked_up),
        )  # fmt: skip
        super().on_mount()
        self._group_list.border_title = Content("Groups by error")
        self._told()

    def on_resize(self) -> None:
        """The frames may be other ones."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        self._group_list.styles.height = self._group_list.whole_height

    # --- what is asked ---

    async def _ask(self, ops: ConsoleOps, cursor: str | None) -> Page[DeadLetter]:
        since = self._selection.since
        if self._selection.payload:
            group, _, queue = self._chosen.partition("/")
            page = await ops.dead_list(PAGE, cursor, Selection(queue=queue or self._selection.queue, group=group))
        else:
            page = await self._heads(ops, cursor, oldest=False)
        self._total = page.total
        if since and page.items and page.items[-1].sequence < to_ms(since) * 1000:
            return Page(page.items, None, page.total)  # sequences are times: all that follows died earlier still
        return page

    async def _ask_back(self, ops: ConsoleOps, cursor: str | None) -> Page[DeadLetter]:
        page = await self._heads(ops, cursor, oldest=True)
        self._total = page.total
        return page

    async def _heads(self, ops: ConsoleOps, cursor: str | None, *, oldest: bool) -> Page[DeadLetter]:
        group, _, queue = self._chosen.partition("/")
        groups = () if group else self._named_groups()
        return await ops.dead_heads(
            PAGE, cursor, queue=queue or self._selection.queue, group=group, groups=groups, oldest=oldest
        )

    def _looked_up(self) -> bool:
        """Whether the index finds all that the filter means, and nothing is searched for in what is read."""
        chosen = self._selection
        named = self.filter.get("job") or self.filter.get("group")
        group = self._chosen.partition("/")[0]
        return not (chosen.texts or chosen.since or chosen.until or (named and (group or not self._named_groups())))

    def _named_groups(self) -> tuple[tuple[str, str], ...]:
        """The groups a filter by job or group can mean, so that their letters are looked up and not searched for."""
        named = self.filter.get("job") or self.filter.get("group")
        if not named or self._groups_there > len(self._groups):
            return ()
        return tuple((g.queue, g.group) for g in self._groups if self._named(g.job, g.queue, g.group))

    def _select(self) -> None:
        live = self.state.live
        names = [q.name for q in live.queues] if live else []
        self._selection = filtered(self.filter, names, datetime.fromtimestamp(self.now() / 1000, UTC))

    def _fits(self, letter: DeadLetter) -> bool:
        return self._selection.matches(letter)

    def _named(self, job: str, queue: str, group: str) -> bool:
        chosen = self.filter
        pairs = ((chosen.get("job"), job), (chosen.get("queue"), queue), (chosen.get("group"), group))
        return all(part.casefold() in name.casefold() for part, name in pairs if part)

    # --- what is shown ---

    def _row(self, letter: DeadLetter) -> Row:
        return letter_row(letter, self.now(), self._states.get((letter.id, letter.sequence), ""))

    def _told(self) -> None:
        pager, total = self._pager, self._total
        self._check_marks()
        group = self._group()
        of = f" of {count(total)}" if total is not None else ""
        read = ""
        if self.filter and pager.known:
            read = f" · {len(pager.items)} match"
            read += "" if pager.at_end else f", {count(pager.looked_at)}{of} read, G reads on"
        elif total is not None:
            read = f" · {total:,}" + (" · newer above" if pager.from_end else "")
        words = f" · {group.job}: {group.error_class or group.error[:30]}" if group else ""
        text = f" · /{self.filter.text}" if self.filter else ""
        held = f" · {len(self._marks)} marked" if self._marks else ""
        self._list.border_title = Content(safe_line(f"Dead letters{words}{read}{held}{text}"))
        self._list.show_empty("no letter matches" if self.filter or group else "no dead letter")

    def _group(self) -> DeadGroup | None:
        return next((k for k in self._groups if group_key(k) == self._chosen), None)

    def _show_groups(self) -> None:
        if not self._groups_read:
            return
        self._moved_group()  # it may have moved just now
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
        keys = [row.key for row in rows]
        chosen = self._chosen if self._chosen in keys else ALL
        if chosen in keys and self._group_list.cursor_key != chosen:
            self._group_list.choose(keys.index(chosen))  # what is under the bar is what is acted on
        if chosen != self._chosen:
            self._choose(chosen)
            self._list.slip()
        self._fit()
        there = f" · the largest {len(self._groups)} of {count(self._groups_there)}"
        more = there if self._groups_there > len(self._groups) else f" · {len(shown)}" if shown else ""
        self._group_list.border_title = Content(f"Groups by error{more}")

    # --- what arrives ---

    def show_live(self) -> None:
        """Something died, or was retried."""
        live = self.state.live
        if live is None:
            return
        seen = (live.dead_total, tuple((d.id, d.sequence) for d in live.dead[:5]))
        if seen == self._seen and self._groups_read and self._agrees(live.dead_total):
            return
        self._seen = seen
        self._pager.refresh()
        self._groups_due = True
        self._read_groups()

    def _agrees(self, total: int) -> bool:
        """Whether the list was read, and tells as many letters: it may be younger than what the feed has seen."""
        narrowed = self._chosen != ALL or bool(self._selection.queue) or bool(self._named_groups())
        return self._total is not None and (narrowed or self._total == total)

    def _read_groups(self) -> None:
        """Groups cost more than a page: they are not read at every change of a busy system."""
        now = monotonic()
        if self._groups_due and now - self._groups_asked >= GROUPS_S:
            self._groups_due, self._groups_asked = False, now
            self.read_once(lambda ops: ops.dead_group_page(GROUPS_SHOWN), self._take_groups)

    def _take_groups(self, page: Page[DeadGroup]) -> None:
        named = self._named_groups()
        groups, here = page.items, self._group()
        if here is not None and self._states and self._chosen not in map(group_key, groups):
            groups = (*groups, replace(here, count=0))  # its last letter stands there still
        self._groups, self._groups_there, self._groups_read = groups, page.total or len(page.items), True
        if self._named_groups() != named:
            self._pager.restart()
            self._list.slip()
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

    def focus_list(self) -> None:
        """The letters: what was filtered is there."""
        self._list.focus()

    def filter_changed(self) -> None:
        """Another list."""
        self._select()
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
        self._let_go()
        self._pager.moved(self._list.cursor_index)

    def _is_kept(self, letter: DeadLetter) -> bool:
        return (letter.id, letter.sequence) in self._states

    def _let_go(self) -> None:
        """What was done to letters was seen: nothing under the cursor moves by it any more."""
        done = {key for key, state in self._states.items() if not state.endswith("ing")}
        if done:
            self._pager.let_go(lambda letter: (letter.id, letter.sequence) in done)
            self._states = {key: state for key, state in self._states.items() if key not in done}
            self._groups_due = True

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

    def action_mark(self) -> None:
        """Mark the chosen letter, or take its mark away; then the next one."""
        letter = self._pager.item(self._list.cursor_key)
        if self.focused is not self._list or letter is None:
            self.lacks("Space marks letters: choose one (Tab)", self._pager.known)
            return
        if self._marks.pop(letter.id, None) is None:
            self._marks[letter.id] = (letter.queue, letter.id, letter.sequence)
        self._told()
        self._list.action_move(1)

    def action_drop_marks(self) -> None:
        """No letter is marked any more."""
        self._marks.clear()
        self._told()

    def rows_meant(self, action: str) -> RowList | None:
        """Not where marks are meant."""
        marked = self._marks and self.focused is self._list
        return None if marked and action in (RETRY.verb, PURGE.verb) else super().rows_meant(action)

    def _check_marks(self) -> None:
        """A mark means that death of a run and not a later one."""
        for letter in self._pager.items if self._marks else ():
            if self._marks.get(letter.id, ("", "", letter.sequence))[2] != letter.sequence:
                del self._marks[letter.id]
        self._list.mark(frozenset(self._marks))

    def action_retry(self) -> None:
        """The marked letters, else the chosen one; on a group, all of it."""
        self._act(RETRY)

    def action_purge(self) -> None:
        """Likewise."""
        self._act(PURGE)

    def action_retry_all(self) -> None:
        """All that the list shows, and would show further down."""
        self._act_on_all(RETRY)

    def action_purge_all(self) -> None:
        """Likewise."""
        self._act_on_all(PURGE)

    def _act(self, deed: Deed) -> None:
        self._moved_group()
        letter = self._pager.item(self._list.cursor_key)
        if self.focused is self._group_list and self._group() is not None:
            self._act_on_all(deed)
        elif self.focused is self._group_list:
            key = self.key("retry_all" if deed is RETRY else "purge_all")
            self.tell(f"{self.key(deed.verb)} {deed.does} a group: choose one; {key} means all", "warn")
        elif len(self._marks) > 1:
            letter_acts.marked(self, deed, list(self._marks.values()), self._marked_are_done)
        elif self._marks:
            (only,) = self._marks.values()
            held = self._pager.item(only[1])
            letter_acts.one(self, deed, Marked((only,)), held.job if held else "", partial(self._became, *only[1:]))
            self.action_drop_marks()
        elif letter is None:
            self.lacks(f"no dead letter to {deed.verb}", self._pager.known)
        elif state := self._states.get((letter.id, letter.sequence)):
            letter_acts.tell_already(self, deed.verb, state)
        else:
            chosen = Marked(((letter.queue, letter.id, letter.sequence),))
            became = partial(self._became, letter.id, letter.sequence)
            letter_acts.one(self, deed, chosen, letter.job, became, {letter.id: letter.attempts})

    def _act_on_all(self, deed: Deed) -> None:
        self._moved_group()
        meant = scope(self._selection, self.filter.text, self._group())
        letter_acts.selected(self, deed, meant.selection, meant.words, meant.name, self._acted)

    def _marked_are_done(self) -> None:
        self._marks.clear()
        self._acted()

    def _acted(self) -> None:
        """Many are gone, or back: what is shown is read anew."""
        self._states.clear()
        self._seen = None
        self._groups_due, self._groups_asked = True, -GROUPS_S
        self._read_groups()
        self._pager.read_again()

    def records(self, rows: RowList) -> Records | None:
        """Of the groups; the letters are read page by page."""
        return Records({group_key(group): record(group, self.zone) for group in self._groups})

    def job_in_hand(self) -> str | None:
        """That of the chosen letter."""
        letter = self._pager.item(self._list.cursor_key)
        return letter.job if letter else None

    def undone(self) -> None:
        """Letters may be back."""
        self._acted()

    def action_edit_replay(self) -> None:
        """The chosen letter in an editor, then a new run in its place."""
        letter = self._pager.item(self._list.cursor_key)
        if self.focused is not self._list or letter is None:
            self.lacks("choose a letter to edit (Tab)", self._pager.known)
        elif state := self._states.get((letter.id, letter.sequence)):
            letter_acts.tell_already(self, "edit", state)
        else:
            edit_letter(self, letter.id, letter.sequence, partial(self._became, letter.id, letter.sequence))

    def _became(self, run_id: str, sequence: int, state: str) -> None:
        """What became of a letter that stays on the screen until it is read again."""
        if state:
            self._states[run_id, sequence] = state
        else:
            self._states.pop((run_id, sequence), None)
        self._seen = None
        self._pager.redraw()
