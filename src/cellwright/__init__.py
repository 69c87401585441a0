"""Cellwright: recurrent cells as equations."""
