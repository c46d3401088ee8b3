"""Vocabularies that Transform learns in one pass over the train split, and that the trainer reads back."""

import functools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform import analyzer_nodes, nodes

Counts = Counter[bytes]


class CountValuesFn(beam.CombineFn):
    """Counts values batch by batch: one Counter a bundle instead of one element a value."""

    def create_accumulator(self) -> Counts:
        return Counter()

    def add_input(self, accumulator: Counts, batch: tuple[np.ndarray, ...]) -> Counts:
        for values in batch:
            accumulator.update(values.ravel().tolist())
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Counts]) -> Counts:
        return sum(accumulators, Counter())

    def extract_output(self, accumulator: Counts) -> Counts:
        return accumulator


class LearnVocabulary(tft_beam.experimental.PTransformAnalyzer):
    """Counts all values, arranges them, and writes the entries, one a line, into an asset of the Transform graph.

    Args:
        file_name: name of the asset.
        arrange: makes the ordered entries of the values and of how often each occurred.
        builders: each makes one more output of the entries.
    """

    def __init__(
        self,
        file_name: str,
        arrange: Callable[[Counts], list[bytes]],
        builders: Sequence[Callable[[list[bytes]], np.ndarray]],
    ):
        super().__init__()
        self._file_name = file_name
        self._arrange = arrange
        self._builders = builders

    def expand(self, batches: beam.PCollection) -> Any:  # Beam reads the hint, and a tuple of results confuses it
        write = functools.partial(_write_entries, os.path.join(self.base_temp_dir, self._file_name))
        entries = (
            batches | "CountValues" >> beam.CombineGlobally(CountValuesFn()) | "Arrange" >> beam.Map(self._arrange)
        )
        outputs = [write, *self._builders]
        return tuple(entries | f"Output{index}" >> beam.Map(output) for index, output in enumerate(outputs))


def _write_entries(path: str, entries: list[bytes]) -> str:
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(b"".join(entry + b"\n" for entry in entries))
    return path


def learn_vocabulary(
    values: tf.Tensor,
    file_name: str,
    arrange: Callable[[Counts], list[bytes]],
    builders: Mapping[tf.DType, Callable[[list[bytes]], np.ndarray]] = MappingProxyType({}),
) -> tuple[tf.Tensor, ...]:
    """Learns a vocabulary from the split that Transform analyses (by TFX's default: train alone).

    Args:
        values: string `(values,)`; all values of a batch.
        file_name: name of the asset, by which `read_vocabulary` finds it.
        arrange: makes the ordered entries of the values and of how often each occurred. Must be picklable.
        builders: dtype → makes a vector of that dtype of the entries, to be a constant of the graph. Must be picklable.

    Returns:
        the asset's path, string `()`, and the vectors: all deferred, as TFT's analyzers give them.
    """
    # What tft.experimental.ptransform_analyzer does, too, but it cannot give an asset and a tensor at a time.
    stand_in = analyzer_nodes.TemporaryAssetInfo(b"?", "text")
    infos = [analyzer_nodes.TensorInfo(tf.string, [], stand_in)]
    infos += [analyzer_nodes.TensorInfo(dtype, [None], None) for dtype in builders]
    with tf.name_scope(file_name):
        outputs = nodes.apply_multi_output_operation(
            analyzer_nodes.PTransform,
            analyzer_nodes.get_input_tensors_value_nodes([values]),
            ptransform=LearnVocabulary(file_name, arrange, list(builders.values())),
            is_partitionable=False,
            output_tensor_info_list=infos,
        )
        return tuple(analyzer_nodes.wrap_as_tensor(output) for output in outputs)


def read_vocabulary(transform_output: tft.TFTransformOutput, file_name: str) -> list[str]:
    """The entries of a vocabulary of the Transform graph, in the order of their ids."""
    return [entry.decode() for entry in transform_output.vocabulary_by_name(file_name)]
