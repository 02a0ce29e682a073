"""Tuning: the same number of trials for every method, on parts of the training data."""
