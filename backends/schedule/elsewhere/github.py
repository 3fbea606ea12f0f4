"""GitHub Actions' `on.schedule`, from its documents: where they say nothing, the answer is "unclear".

They say (workflow syntax, events that trigger workflows): POSIX cron syntax with five fields, names, weekdays 0-6,
steps, no @daily and the like; a `timezone` key; a time in a skipped hour advances to the next valid time; the shortest
interval is 5 minutes; runs may be late and, under load, dropped; off in a public repository after 60 quiet days.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from backends.schedule.elsewhere.base import Difference, Fires, System, Takes, either

_SHORTEST = 5
_DAY_RULE = "does not say whether both day fields must fit where one has */n"


class GitHub(System):
    """A workflow with `on: schedule`."""

    key = "github"
    title = "GitHub Actions"
    known = "documented"

    def takes(self) -> Takes:
        return "rewritten" if self.alias or self._sevens() else "as_typed"

    def written(self) -> tuple[str, ...]:
        text = self.with_weekdays() if self._sevens() else " ".join(word.text for word in self.words)
        return (f'cron: "{text}"', f'timezone: "{self.timezone}"')

    def differences(self) -> Iterator[Difference]:
        if self.alias:
            yield Difference("alias", f"does not know {self.expression}", "documented")
        for text in self._sevens():
            if "7" in text:
                yield Difference("dow7", f"has weekdays 0 to 6 only: not {text}", "documented")
            else:
                yield Difference("name_range", f"does not say whether {text} is a range", "not_stated")
        if self._day_rule_unclear():
            yield Difference("day_rule", _DAY_RULE, "not_stated")
        if self._too_often():
            yield Difference(
                "too_often", f"fires at most every {_SHORTEST} minutes; it does not say when", "documented"
            )
        yield Difference("late", "may be late, most of all at the full hour, or dropped under load", "documented")
        yield Difference(
            "inactive",
            "stops in a public repository after 60 days without activity; never starts in a fork",
            "documented",
        )

    def fires(self, start: int, end: int) -> Fires:
        sure, unclear = set[int](), set[int]()
        too_often = self._too_often()
        for wall in self.walls(start, end, self.days(either) if self._day_rule_unclear() else self.on):
            instants = self.clock.instants(wall) or [at for at in (self.clock.after_gap(wall),) if at is not None]
            doubtful = len(instants) > 1 or too_often or not self.on(wall)
            (unclear if doubtful else sure).update(at for at in instants if start <= at < end)
        return Fires(sorted(sure), sorted(unclear - sure))

    def doubt(self, repeated: bool) -> str:
        if self._too_often():
            return f"does not say which fires are left at one every {_SHORTEST} minutes"
        if repeated:
            return "does not say what it does in a repeated hour"
        return _DAY_RULE

    def _sevens(self) -> list[str]:
        """The weekday items in which Sunday comes last."""
        return [item.text for item in self.words[4].items if item.high == 7]

    def _day_rule_unclear(self) -> bool:
        return self.both_days and self.fields.day_and

    def _too_often(self) -> bool:
        """Whether two fires of one day, or over an hour's end, are nearer than the shortest interval."""
        minutes, hours = self.fields.minutes, self.fields.hours
        within = any(later - minute < _SHORTEST for minute, later in pairwise(minutes))
        over = minutes[0] + 60 - minutes[-1] < _SHORTEST
        follows = any((hour + 1) % 24 in hours for hour in hours)
        return within or (over and follows)
