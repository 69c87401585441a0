"""Files to plain values, one module a format: nothing is unpickled, and memory is bounded."""
