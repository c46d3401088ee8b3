"""Where a continued training starts: at the weights of the version that is live."""

import logging
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from models.encoders.bigram_embedding import bucket_of
from models.labels import Target, regression
from models.modalities.text import BIGRAM_TABLE, WORD_PIECES
from models.spec import WORD_LOGITS, ModelSpec, of_head
from models.weights import NamedAxis, SavedWeights, named_axes

_notices = logging.getLogger("attention.progress")


def take_over(
    network: keras.Model,
    saved: SavedWeights,
    spec: ModelSpec,
    vocabularies: Mapping[str, list[str]],
    targets: Mapping[str, Target],
    texts: Sequence[tf.RaggedTensor],
) -> None:
    """Gives a fresh network the weights of an older one; what the older one did not have stays fresh.

    A class, word piece, category or position is found again by its name, wherever it stands now. A hashed pair of word
    pieces is found again if it occurs in the train split. A number's head is scaled to the new mean and deviation.

    Args:
        network: fresh; its weights are replaced in place.
        saved: the older weights.
        spec: of the fresh network, as are the next two.
        vocabularies: entries of each vocabulary of the Transform graph.
        targets: head → what is to be predicted.
        texts: word pieces of each text feature of the train split, int `(rows, tokens)`.
    """
    axes = named_axes(spec, vocabularies, targets)
    taken, left = [], []
    for variable in network.variables:
        if not np.issubdtype(np.dtype(variable.dtype), np.floating):
            continue  # the state of a random generator
        old = saved.by_path.get(variable.path)
        value = None if old is None else _merge(np.asarray(variable), old.value, axes.get(variable.path), old.named)
        if value is None:
            left.append(variable.path)
        else:
            variable.assign(value)
            taken.append(variable.path)
    _move_pairs(network, saved, axes, texts)
    for name, head in spec.heads.items():
        before, scoring = saved.targets.get(name), {of_head(name, "logits"), of_head(name, WORD_LOGITS)}
        if head.type != "regression" or before is None:
            continue
        for layer in network.layers:
            if layer.name in scoring and layer.kernel.path in taken:
                layer.set_weights(regression.rescale(layer.get_weights(), before, targets[name]))
    _notices.info(
        "The training starts from the live version: %d of %d weights are taken over%s",
        len(taken),
        len(taken) + len(left),
        f"; fresh are {', '.join(left[:5])}{', …' * (len(left) > 5)}" if left else "",
    )


def _merge(
    fresh: np.ndarray, old: np.ndarray, named: NamedAxis | None, old_named: NamedAxis | None
) -> np.ndarray | None:
    """The old weight in the place of the fresh one; None if it has no place there."""
    if named is None or old_named is None or named.axis != old_named.axis:
        return old if named is old_named is None and old.shape == fresh.shape else None
    fresh, old = np.moveaxis(fresh.copy(), named.axis, 0), np.moveaxis(old, named.axis, 0)
    if fresh.shape[1:] != old.shape[1:]:
        return None
    places = {name: place for place, name in enumerate(old_named.names)}
    known = [(place, places[name]) for place, name in enumerate(named.names) if name in places]
    if not known:
        return None
    here, there = (list(each) for each in zip(*known, strict=True))
    fresh[here] = old[there]
    return np.moveaxis(fresh, 0, named.axis)


def _move_pairs(
    network: keras.Model, saved: SavedWeights, axes: Mapping[str, NamedAxis], texts: Sequence[tf.RaggedTensor]
) -> None:
    """Moves each pair's row of the hashed table to where the new ids put it; rows of several pairs get their mean.

    Rows of pairs that are not in the train split are of no use at new ids: they become zero, which says nothing.
    """
    table = next((variable for variable in network.variables if variable.path == BIGRAM_TABLE), None)
    old, pieces = saved.by_path.get(BIGRAM_TABLE), axes.get(WORD_PIECES)
    old_pieces = saved.by_path[WORD_PIECES].named if WORD_PIECES in saved.by_path else None
    if table is None or old is None or pieces is None or old_pieces is None:
        return
    if old.value.shape[1:] != table.shape[1:] or (pieces == old_pieces and old.value.shape == table.shape):
        return
    old_ids = {name: place for place, name in enumerate(old_pieces.names)}
    old_id = np.array([old_ids.get(name, -1) for name in pieces.names])
    pairs = np.concatenate([_pairs(text, len(pieces.names)) for text in texts])
    before, after = np.divmod(pairs, len(pieces.names))
    known = (old_id[before] >= 0) & (old_id[after] >= 0)
    before, after = before[known], after[known]
    rows = bucket_of(before, after, table.shape[0])
    values = np.zeros(table.shape, np.float32)
    counts = np.zeros(table.shape[0], np.float32)
    np.add.at(values, rows, old.value[bucket_of(old_id[before], old_id[after], len(old.value))])
    np.add.at(counts, rows, 1)
    table.assign(values / np.maximum(counts, 1)[:, np.newaxis])


def _pairs(text: tf.RaggedTensor, vocabulary_size: int) -> np.ndarray:
    """All neighbours of a split, each occurrence: int64 `(pairs,)`, the id before times the size plus the id after."""
    after, rows = text.flat_values.numpy().astype(np.int64), text.value_rowids().numpy()
    before = np.concatenate([[0], after[:-1]]) * np.concatenate([[False], rows[1:] == rows[:-1]])
    return before * vocabulary_size + after
