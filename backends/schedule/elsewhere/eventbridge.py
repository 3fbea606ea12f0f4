"""AWS EventBridge Scheduler, from its documents: where they say nothing, the answer is "unclear".

They say (schedule types, user guide): six fields with the year last, weekdays 1-7 from Sunday or names, exactly one of
the two day fields is ``?``; when the clock goes forward, what falls on a time that does not exist is skipped; when it
goes back, a schedule runs only once; a target is invoked within the minute. Not which of the two times counts, and not
whether that holds for an hourly schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from backends.schedule.dialect import DAYS, MONTHS
from backends.schedule.elsewhere.base import Difference, Fires, System, Takes


class EventBridge(System):
    """A schedule with a cron expression and a ScheduleExpressionTimezone."""

    key = "eventbridge"
    title = "AWS EventBridge Scheduler"
    known = "documented"

    def takes(self) -> Takes:
        return "no" if self.fields.day_and and self.both_days else "rewritten"

    def written(self) -> tuple[str, ...]:
        if self.takes() == "no":
            return ()
        fields = self.fields
        time = f"{_list(fields.minutes, 60)} {_list(fields.hours, 24)}"
        months = _list(fields.months, 12, lambda month: MONTHS[month - 1].upper())
        numbers = f"cron({time} {_list(fields.days, 31)} {months} ? *)"
        weekdays = f"cron({time} ? {months} {_list(fields.weekdays, 7, lambda day: DAYS[day].upper())} *)"
        if self.both_days:
            return (numbers, weekdays)
        if fields.any_day:
            return (f"cron({time} * {months} ? *)",)
        return (weekdays if fields.every_day_number else numbers,)

    def differences(self) -> Iterator[Difference]:
        if self.takes() == "no":
            yield Difference("day_and", "can't ask for a day of the month that is also a weekday", "documented")
            return
        if self.both_days:
            yield Difference("two_schedules", "needs two schedules; a day that fits both gets two runs", "documented")
        yield Difference("within_minute", "invokes the target at any second of the minute", "documented")

    def fires(self, start: int, end: int) -> Fires:
        found = Fires()
        if self.both_days:
            tests = [self.days(lambda number, _: number), self.days(lambda _, weekday: weekday)]
        else:
            tests = [self.on]
        for on in tests:
            for wall in self.walls(start, end, on):
                instants = self.clock.instants(wall)
                kept = found.unclear if len(instants) > 1 else found.sure
                kept += [at for at in instants if start <= at < end]
        return Fires(sorted(found.sure), sorted(set(found.unclear)))

    def doubt(self, repeated: bool) -> str:
        if self.fields.wildcard:
            return "fires only once in a repeated hour, it says, but not whether that means every time of it"
        return "fires only once in a repeated hour, but it does not say in which pass"


def _list(values: Sequence[int], full: int, word: Callable[[int], str] = str) -> str:
    return "*" if len(values) == full else ",".join(map(word, values))
