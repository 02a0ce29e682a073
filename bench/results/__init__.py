"""The files of a run: its row, ranks, history and example, and checks of untrusted text."""
