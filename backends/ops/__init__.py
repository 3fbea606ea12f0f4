"""Every look an operator can take and every action: the one door for the console and the command line.

Reading, writing, read-only refusal and the audit live here, so that both do the same and neither can pass them by.
"""

from backends.ops.core import Ops
from backends.ops.kinds import Chosen, Marked, Operation, Progress, Tell, Why
from backends.ops.letters import Selection
from backends.ops.status import SystemStatus, system_status

__all__ = [
    "Chosen", "Marked", "Operation", "Ops", "Progress", "Selection", "SystemStatus", "Tell", "Why", "system_status",
]  # fmt: skip
