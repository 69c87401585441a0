"""Measuring: any cell beside torch.nn, a loop in torch and other libraries."""
