"""Scheduled retraining: what makes a run due, what was tried, and the loop between runs."""
