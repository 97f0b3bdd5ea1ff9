"""Tests of messages: built, rejected, rendered and parsed again."""
