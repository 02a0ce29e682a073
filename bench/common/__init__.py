"""Atomic files, HDF5 guards, checkpoints, the machine, progress bars: used everywhere."""
