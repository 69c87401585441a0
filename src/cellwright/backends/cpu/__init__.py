"""The CPU engine: C++ from a Schedule, compiled for this machine, kept in a cache."""
