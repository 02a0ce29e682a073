"""Pages made from the rows: Markdown, CSV and terminal tables."""
