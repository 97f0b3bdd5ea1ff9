"""Messages: made, refused, written and read back."""
