"""TensorBoard's event files, written without the TensorBoard package, which TensorFlow no longer brings."""

import os
from collections.abc import Mapping

import tensorflow as tf

_METADATA = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"),
    data_class="DATA_CLASS_SCALAR",
)


class EventLog:
    """Writes loss and metrics of each epoch where TensorBoard finds them as Keras' own callback writes them.

    Args:
        directory: gets the folders `train` and `validation`.
    """

    def __init__(self, directory: str):
        self._writers = {
            part: tf.summary.create_file_writer(os.path.join(directory, part)) for part in ("train", "validation")
        }

    def write(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Adds the scalars of one epoch.

        Args:
            epoch: counted from 0.
            logs: as `fit` gives them; names of the eval split begin with `val_`.
        """
        for name, value in logs.items():
            part = "validation" if name.startswith("val_") else "train"
            with self._writers[part].as_default():
                tf.summary.write(f"epoch_{name.removeprefix('val_')}", tf.constant(value), epoch, _METADATA)
        for writer in self._writers.values():
            writer.flush()
