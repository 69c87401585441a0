"""The cells, one .cell file each: data, no code."""
