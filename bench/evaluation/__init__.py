"""Views of a split for methods, and scores of what methods return."""
