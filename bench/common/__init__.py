"""Helpers of all packages: atomic files, HDF5 guards, checkpoints, provenance, progress bars."""
