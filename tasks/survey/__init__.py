"""Surveys of stars: import from the files of astronomers, and export to them."""
