"""Everything beneath the screen: queues, history, schedules, the engine and the operations on them."""

__version__ = "0.1.0"
