"""Everything beneath the screen: queues, history, schedules, the engine and the operations on them."""
