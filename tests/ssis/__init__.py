"""SSIS packages: read, understood and brought over."""
