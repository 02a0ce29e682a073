"""Runs: one run and its folder, sweeps, predictions, and the figures of a run."""
