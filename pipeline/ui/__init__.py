"""A page over the runs of a pipeline, for this machine alone."""
