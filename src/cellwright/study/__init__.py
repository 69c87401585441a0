"""Comparing cells: data, training, statistics, the report."""
