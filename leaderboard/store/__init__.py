"""Rows on disk: reading, adding, checking and reproducing them."""
