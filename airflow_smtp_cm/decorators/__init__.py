"""TaskFlow decorators for DAG authors."""
