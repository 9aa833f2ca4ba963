"""What a worker's process carries out of its tables: each runner is one event loop, which a task only wakes."""
