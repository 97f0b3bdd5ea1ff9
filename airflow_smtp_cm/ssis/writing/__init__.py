"""Writes what comes of packages: connections, DAG files, and the report of the remaining work."""
