"""Tests of the conversion of SSIS packages."""
