"""Layers: Programs as torch modules."""
