"""The mail of a task: its message or messages, and the record of what was sent."""
