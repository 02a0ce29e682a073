"""What a run leaves: the schema of its row, its ranks, and checked text."""
