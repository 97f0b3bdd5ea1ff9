"""Real servers for the tests, each on 127.0.0.1, on ports of its own, in a temporary folder of its own."""
