"""Macros for templates."""
