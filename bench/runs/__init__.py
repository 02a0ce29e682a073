"""Runs: the runner and its folders, sweeps, predictions, and plots."""
