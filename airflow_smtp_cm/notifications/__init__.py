"""What tells people how a run went: notifiers."""
