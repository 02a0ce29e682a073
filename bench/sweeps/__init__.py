"""Sweeps: a plan of many runs, worked off on this machine or on a cluster."""
