"""Spectra by radiative transfer: line table, atmosphere, PySME, and the emulator's training set."""
