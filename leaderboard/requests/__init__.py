"""Pull requests with rows: making one, and checking one without running any of its code."""
