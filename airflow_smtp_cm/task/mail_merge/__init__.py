"""Many messages in one task: what they are, what became of each over all tries, and how they are sent."""
