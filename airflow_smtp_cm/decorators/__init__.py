"""What a DAG author uses in TaskFlow style: decorators."""
