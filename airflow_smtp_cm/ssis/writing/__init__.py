"""What is made of packages: connections, DAG files, and the report of what is left to do."""
