"""Backends: each spells the operations and has one loop over time."""
