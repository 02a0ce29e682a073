"""Ways to hand the runs of a sweep to a cluster."""
