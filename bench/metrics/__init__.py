"""Metrics: pure functions from arrays to numbers, without input or output."""
