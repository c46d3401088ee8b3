"""One reader per format; each yields Arrow columns in batches and the rows that could not be read."""
