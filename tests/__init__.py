"""The tests, importable from the repository's root."""
