"""The operator's pages below /admin: queues, schedule, letters, the system."""
