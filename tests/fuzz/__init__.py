"""Coverage-guided fuzzing: a module a target, each with what must hold for any input, and how bytes become one.

What must hold is a function that hypothesis calls, too, in the tests of the module that it is about. The corpus of a
target is read by ``test_fuzz.py`` at every run of the tests; ``make fuzz`` looks for more.
"""

TARGETS = (
    "addresses",
    "challenges",
    "connection_string",
    "content",
    "extensions",
    "file_names",
    "headers",
    "messages",
    "replies",
    "sessions",
)
