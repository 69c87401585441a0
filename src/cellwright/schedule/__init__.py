"""Schedules: what of a Program runs when."""
