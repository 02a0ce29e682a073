"""Tasks: sources of paired spectra, and the contract that they keep."""
