"""The record of a run: one page, the same as JSON, and a summary."""
