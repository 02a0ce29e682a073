"""Benchmarks of starbench's fast parts against named alternatives: ``python -m benchmarks``."""
