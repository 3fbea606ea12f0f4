"""A long list a page at a time: what is in sight and near it is held, the rest is asked for again when it is wanted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from backends.model import Page
from console.feed import ConsoleOps
from console.screens.base import ConsoleScreen
from widgets.table import Row, Table

T = TypeVar("T")
PAGES_HELD = 10
NEAR = 40
"""So many rows before the end of what is held the next page is asked for."""
SEARCHED_MOST = 50
"""Pages read in a row for a filter that finds little; after them the operator moves on or narrows it."""


class Pager(Generic[T]):
    """Fills `table` from `ask`, newest first. Give it `moved` whenever the table's cursor moves.

    Memory: ten pages of rows, and one cursor for each page that was ever seen.
    """

    def __init__(
        self,
        screen: ConsoleScreen,
        table: Table,
        ask: Callable[[ConsoleOps, str | None], Awaitable[Page[T]]],
        key: Callable[[T], str],
        row: Callable[[T], Row],
        told: Callable[[], None],
    ) -> None:
        """`key` is the key of an item's row. `told` is called after each change, for titles."""
        self._screen, self._table, self._ask, self._told = screen, table, ask, told
        self._key, self._row = key, row
        self._rows: dict[str, tuple[T, Row]] = {}
        self._starts: list[str | None] = [None]  # the cursor each page begins at
        self._pages: dict[int, tuple[T, ...]] = {}  # those that are held; they follow each other
        self._end = False
        self._asking = False
        self._wanted: int | None = None
        self._generation = 0
        self._searched = 0
        self.total: int | None = None

    # --- what is known ---

    @property
    def items(self) -> list[T]:
        """What is held, newest first."""
        return [item for number in sorted(self._pages) for item in self._pages[number]]

    @property
    def complete(self) -> bool:
        """Whether all there is is held."""
        return self._end and min(self._pages, default=0) == 0

    @property
    def first(self) -> int:
        """How many rows lie before what is held, roughly."""
        number = min(self._pages, default=0)
        return number * max((len(page) for page in self._pages.values()), default=0)

    def item(self, key: str | None) -> T | None:
        """The item whose row has that key."""
        found = self._rows.get(key or "")
        return found[0] if found else None

    # --- asking ---

    def restart(self) -> None:
        """From the beginning: the filter is another one."""
        self._generation += 1
        self._starts, self._pages, self._end, self._asking, self.total = [None], {}, False, False, None
        self._searched, self._wanted = 0, None
        self._table.set_rows(())
        self._load(0)

    def refresh(self) -> None:
        """Look for what is new, where the newest page is held; what is shown further down stays."""
        if 0 in self._pages or not self._pages:
            self._load(0)

    def moved(self, index: int) -> None:
        """The cursor is on that row of the table."""
        if not self._pages:
            return
        rows = sum(map(len, self._pages.values()))
        self._searched = 0
        if index >= rows - NEAR and not self._end:
            self._load(max(self._pages) + 1)
        elif index < NEAR and min(self._pages) > 0:
            self._load(min(self._pages) - 1)

    def redraw(self) -> None:
        """Rows look different now: ages, marks."""
        self._rows.clear()
        self._draw()

    def _draw(self) -> None:
        made: dict[str, tuple[T, Row]] = {}
        for item in self.items:
            key = self._key(item)
            known = self._rows.get(key)
            made[key] = known if known is not None and known[0] == item else (item, self._row(item))
        self._rows = made
        self._table.set_rows(tuple([row for _, row in made.values()]))

    def _load(self, number: int) -> None:
        if self._asking:
            self._wanted = number or self._wanted  # looking for what is new can wait for its next time
            return
        self._asking = True
        generation, start = self._generation, self._starts[number]

        def ended() -> None:
            if generation == self._generation:
                self._asking = False
                self._screen.call_later(self._go_on)

        def show(page: Page[T]) -> None:
            if generation == self._generation:
                self._take(number, page)

        self._screen.read_once(lambda ops: self._ask(ops, start), show, ended)

    def _go_on(self) -> None:
        wanted, self._wanted = self._wanted, None
        if wanted is not None and wanted not in self._pages and {wanted - 1, wanted + 1} & self._pages.keys():
            self._load(wanted)

    def _take(self, number: int, page: Page[T]) -> None:
        if number == 0 and self._pages:
            if page.items == self._pages.get(0, ())[: len(page.items)]:
                return
            self._renew(page)
        else:
            self._pages[number] = page.items
            self._after(number, page.next_cursor)
        while len(self._pages) > PAGES_HELD:
            far = min(self._pages) if number > min(self._pages) else max(self._pages)
            del self._pages[far]
            self._end = self._end and far < number
        self.total = page.total if page.total is not None else self.total
        self._draw()
        self._told()
        self._searched += 1
        if sum(map(len, self._pages.values())) < NEAR and not self._end and self._searched < SEARCHED_MOST:
            self._load(max(self._pages) + 1)

    def _after(self, number: int, cursor: str | None) -> None:
        """`cursor` is where the page after `number` begins."""
        if cursor is None:
            self._end = True
        elif len(self._starts) == number + 1:
            self._starts.append(cursor)

    def _renew(self, page: Page[T]) -> None:
        """The newest page once more: what is new comes on top; where nothing is left in common, begin anew."""
        old = {self._key(item) for item in self._pages[0]}
        fresh = [item for item in page.items if self._key(item) not in old]
        alone = page.next_cursor is None and 1 not in self._pages
        grown = len(fresh) + len(self._pages[0]) > 3 * max(1, len(page.items))
        if alone or grown or len(fresh) == len(page.items):
            self._pages, self._starts, self._end = {0: page.items}, [None], False
            self._after(0, page.next_cursor)
        else:
            now = {self._key(item): item for item in page.items}
            last = self._key(page.items[-1])
            keys = [self._key(item) for item in self._pages[0]]
            kept = self._pages[0][keys.index(last) + 1 :] if last in keys else ()
            self._pages[0] = (*now.values(), *kept)
