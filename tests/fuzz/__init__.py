"""Coverage-guided fuzzing: each module is a target, with a check for any input, and a function from bytes to input.

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
