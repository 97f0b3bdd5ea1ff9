"""What a DAG author uses: operators."""
