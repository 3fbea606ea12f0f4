"""Which failures are the same failure: a fingerprint groups dead letters by cause, not by wording."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha1

ALIKE = ("WorkerLost", "UnknownJob", "BadEnvelope", "EnvelopeTooLarge", "BadHeader")
"""Classes of our own that say all there is to say: what an inbox refuses is the same failure when an engine refuses it
after a retry, in other words. The queue's scripts compute these fingerprints too."""
FRAMES = 5
MESSAGE = 300

_SAME = (
    (re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"), "<id>"),
    (re.compile(r"(?<!\w)(\"[^\"\n]*\"|'[^'\n]*'|`[^`\n]*`)(?!\w)"), "<text>"),
    (re.compile(r"\b[a-z][a-z0-9+.-]*://\S+"), "<url>"),
    (re.compile(r"(?<![\w/])(?:[A-Za-z]:)?(?:[/\\][\w.@+~-]+)+[/\\]?"), "<path>"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b|\b(?=[a-fA-F]*\d)[0-9a-fA-F]{8,}\b"), "<hex>"),
    (re.compile(r"\d+(?:\.\d+)*"), "#"),
    (re.compile(r"\s+"), " "),
)


def normalise(message: str) -> str:
    """The message without what differs from run to run: ids, numbers, quoted text, paths, addresses."""
    text = message[: 4 * MESSAGE]
    for pattern, instead in _SAME:
        text = pattern.sub(instead, text)
    return text.strip()[:MESSAGE]


def fingerprint(job: str, error_class: str, frames: Sequence[str], message: str) -> str:
    """16 hex digits; equal for failures with the same cause.

    `frames`: ``module:function`` of the user's own code, innermost last, no line numbers, so that an edit elsewhere in
    the file doesn't split a group. Without frames the message counts, normalised. For those of `ALIKE` neither does.
    """
    if error_class in ALIKE:
        what = ""
    elif frames:
        what = "\n".join(frames[-FRAMES:])
    else:
        what = normalise(message)
    return sha1(f"{job}\0{error_class}\0{what}".encode("utf-8", "replace"), usedforsecurity=False).hexdigest()[:16]
