"""Trackers of experiments, which keep a copy of each run's record; TensorBoard's files lie in `model_run`."""
