"""Pages generated from the rows: Markdown, CSV and tables for the terminal."""
