"""From the committed rows to a verdict: differences, tests, tables, pictures, a page."""
