"""What is fast, measured against named alternatives: ``python -m benchmarks``."""
