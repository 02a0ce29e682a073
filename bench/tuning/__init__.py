"""Tuning: the same number of trials for every method, on parts of the training data."""

LEAST_TRIALS = 2  # the defaults, and another setting to compare with
