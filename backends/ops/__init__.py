"""Every look an operator can take and every action: the one door for the console and the command line.

Reading, writing, read-only refusal and the audit live here, so that both do the same and neither can pass them by.
What is named here is imported when it is asked for: the console's first frame needs `kinds`, and nothing that is heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backends.ops.core import Ops
    from backends.ops.kinds import Chosen, Marked, Operation, Progress, Tell, Why
    from backends.ops.letters import Selection
    from backends.ops.status import SystemStatus, system_status

_WHERE = {"Ops": "core", "Selection": "letters", "SystemStatus": "status", "system_status": "status"}

__all__ = [
    "Chosen", "Marked", "Operation", "Ops", "Progress", "Selection", "SystemStatus", "Tell", "Why", "system_status",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE.get(name, 'kinds')}"), name)
