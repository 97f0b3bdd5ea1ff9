"""The size of a group of messages that are sent together (``bulk_groups``); the record of a task relies on it."""

GROUP = 20
"""Messages of a group; two groups may be in flight. If the connection breaks, these may be uncertain."""

GROUP_BYTES = 256 * 1024
"""Bytes of a group."""
