"""Tasks: where paired spectra come from, and the checks they pass before anyone trains on them."""
