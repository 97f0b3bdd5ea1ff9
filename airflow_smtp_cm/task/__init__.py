"""What a task does with mail: its message or messages, and the record of what was sent."""
