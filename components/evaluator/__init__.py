"""Metrics that TFX's Evaluator computes for us."""
