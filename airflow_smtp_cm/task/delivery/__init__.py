"""How a task delivers its messages, one or many: each neither lost nor sent twice, over all tries of the task."""
