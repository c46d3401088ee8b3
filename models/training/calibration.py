"""Temperature scaling: probabilities that are as sure as they are right (Guo et al. 2017, section 4.2)."""

import logging

import keras
import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from models.input_fn import Split, batches, sorted_rows
from models.spec import ModelSpec, SingleLabelHead, of_head
from models.training.loop import EVAL_BATCHES

_log = logging.getLogger("attention")

_COLDEST, _HOTTEST = 0.05, 20.0


def calibrate(network: keras.Model, split: Split, spec: ModelSpec) -> dict[str, float]:
    """Divides the logits of each single-label head by the temperature that fits a split best.

    The layer of the logits takes the temperature into its weights, so nothing else need know of it. A row's most
    probable class stays what it was.

    Args:
        network: trained; changed in place.
        split: rows that it did not learn from.
        spec: the heads.

    Returns:
        head → temperature: above 1 the network was too sure, below 1 not sure enough.
    """
    heads = [name for name, head in spec.heads.items() if isinstance(head, SingleLabelHead)]
    layers = {name: network.get_layer(of_head(name, "logits")) for name in heads}
    if not layers:
        return {}
    rows = sorted_rows(split.lengths)
    features = batches(split, rows, EVAL_BATCHES * spec.train.batch_size).map(lambda features, labels: features)
    model = keras.Model(network.inputs, {name: layer.output for name, layer in layers.items()})
    temperatures = {}
    for name, logits in model.predict(features, verbose=0).items():
        temperatures[name] = fit_temperature(logits, split.labels[name][rows])
        layers[name].set_weights([weight / temperatures[name] for weight in layers[name].get_weights()])
        _log.info("Probabilities of `%s` calibrated: temperature %.3f", name, temperatures[name])
    return temperatures


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Finds the temperature with the least cross-entropy.

    Args:
        logits: float32 `(rows, classes)`.
        labels: int `(rows,)`.

    Returns:
        from 0.05 to 20: a split without a single fault would have it fall to 0.
    """
    right = logits[np.arange(len(labels)), labels].astype(np.float64)

    def cross_entropy(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(np.mean(logsumexp(scaled, axis=1) - right / np.exp(log_temperature)))

    bounds = (np.log(_COLDEST), np.log(_HOTTEST))
    return float(np.exp(minimize_scalar(cross_entropy, bounds=bounds, method="bounded").x))
