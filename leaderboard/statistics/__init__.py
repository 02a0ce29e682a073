"""Statistics of rows: means over seeds, comparisons, ranks and verdicts."""
