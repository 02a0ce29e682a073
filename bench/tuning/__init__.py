"""Tuning: the same number of trials for every method, judged on validation."""

LEAST_TRIALS = 2  # the defaults, and another setting to compare with
MOST_TRIALS = 1000  # Optuna draws the settings of all trials before the first one starts
MOST_PARTS = 100
