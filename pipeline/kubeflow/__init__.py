"""Kubeflow Pipelines: what the DAG compiles to, what its backend refuses, and how a pipeline gets there."""
