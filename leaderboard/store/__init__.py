"""Rows on disk: reading, adding and checking them, and running them again."""
