"""Data sets on disk: the cache, its chunks, the layout of pairs, and the export."""
