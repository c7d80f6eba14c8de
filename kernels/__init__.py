"""Spectral operations, one a file, each with its definition in plain PyTorch."""
