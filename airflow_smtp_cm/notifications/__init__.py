"""Notifiers for DAG authors."""
