"""Tests of the SMTP conversation."""
