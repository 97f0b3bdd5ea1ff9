"""Real servers for the tests: each has its own ports of 127.0.0.1, and its own temporary folder."""
