"""The GPU engine: Triton from a Schedule, compiled by Triton when it is first run."""
