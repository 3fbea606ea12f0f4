"""Every look an operator can take and every action: the one door for the console and the command line.

Reading, writing, read-only refusal and the audit live here, so that both do the same and neither can pass them by.
"""

from backends.ops.core import Ops, SystemStatus, system_status
from backends.ops.letters import Selection

__all__ = ["Ops", "Selection", "SystemStatus", "system_status"]
