"""Which pictures there are: a screen, how the operator got there, and what must be on it."""

from __future__ import annotations

from dataclasses import dataclass

USUAL, SMALL, LARGE = (120, 36), (80, 24), (200, 60)


def said(text: str) -> tuple[str, ...]:
    """The keys of a command."""
    return ("colon", *(_key(letter) for letter in text), "enter")


def _key(letter: str) -> str:
    return {" ": "space", "_": "underscore", ":": "colon", "-": "minus"}.get(letter, letter)


@dataclass(frozen=True)
class Shot:
    """One picture. `sees`: words that must be there before it is taken."""

    name: str
    keys: tuple[str, ...] = ()
    size: tuple[int, int] = USUAL
    theme: str = "dark"
    sees: tuple[str, ...] = ()


SHOTS = (
    Shot("overview", sees=("product_feed", "✓ succeeded")),
    Shot("overview-80x24", size=SMALL, sees=("▶ running",)),
    Shot("overview-200x60", size=LARGE, sees=("✓ succeeded",)),
    Shot("overview-light", theme="light", sees=("✓ succeeded",)),
    Shot("timeline", ("2",), sees=("health_check",)),
    Shot("timeline-night", ("2", "minus", *"jjjjjjjjj", "h"), (160, 36), sees=("health_check",)),
    Shot("queues", ("3", "j"), sees=("billing",)),
    Shot("queue", said("queue media"), sees=("resize_image", "ready")),
    Shot("dead-letters", ("4", "j"), sees=("sync_prices",)),
    Shot("dead-letters-colour-blind", ("4", "j"), theme="colour-blind", sees=("sync_prices",)),
    Shot("retry-group", ("4", "tab", "j", "r"), sees=("y or Enter",)),
    Shot("letter", ("4", "tab", "j", "enter", "j", "enter"), sees=("Traceback",)),
    Shot("runs", ("5", "f"), sees=("✗ failed",)),
    Shot("run", (*said("job nightly_backup"), "enter"), sees=("No space left",)),
    Shot("run-live", (*said("queue media"), "l", "enter"), sees=("fps",)),
    Shot("jobs", ("6",), sees=("nightly_backup", "%")),
    Shot("jobs-high-contrast", ("6",), theme="high-contrast", sees=("nightly_backup", "%")),
    Shot("job", said("job nightly_backup"), sees=("nightly_backup",)),
    Shot("cron-lab", (*said("job nightly_backup"), "c"), sees=("02:30",)),
    Shot("engines", ("8",), sees=("worker-2",)),
    Shot("audit", ("9",), sees=("ana@bastion",)),
    Shot("help", ("4", "question_mark"), sees=("Screens",)),
    Shot("palette", ("6", "colon", *"ba"), sees=("job nightly_backup",)),
    Shot("pause", ("3", "j", "j", "p"), sees=("Pause queue mail",)),
    Shot("trigger", ("6", "T"), sees=("COMEBACK5",)),
)
