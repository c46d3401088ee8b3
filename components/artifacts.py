"""Artifact types of our own; everything else is one of TFX's standard artifacts."""

from tfx.types import artifact


class DataBlessing(artifact.Artifact):
    """Says whether the data may be trained on.

    File structure: `gates.json`, `report.txt`.
    Custom property: `blessed` (int), 1 if no gate blocks, otherwise 0.
    """

    # Kubeflow takes own types only as `namespace.Title`.
    TYPE_NAME = "attention.DataBlessing"
