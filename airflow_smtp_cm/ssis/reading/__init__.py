"""Reads SSIS files, which are not trusted, into the classes of ``model``."""
