"""What a method may see of a split, and the figures of what it returns."""
