"""How far two splits' distributions are apart, feature by feature."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_metadata.proto.v0.statistics_pb2 import DatasetFeatureStatisticsList as Statistics

from components.data_gate.quantiles import quantiles_of, shared_ends
from components.gates import Gate
from components.measures import jensen_shannon_divergence
from components.schema_gen.options import ValidationOptions
from components.schema_gen.schema import common_statistics

MEASURES = {"jensen_shannon_divergence": "Jensen-Shannon divergence", "infinity_norm": "L-infinity distance"}


@dataclass(frozen=True)
class Distance:
    """One feature's distance between two splits.

    Attributes:
        value: 0 (the same) to 1 (nothing in common); None where neither side has a value.
        limit: the threshold, raised by the allowance for noise.
        threshold: as the schema gives it.
        values: number of values on the smaller side.
        measure: its name.
    """

    value: float | None
    limit: float
    threshold: float
    values: int
    measure: str

    def sentence(self, between: str) -> str:
        """The distance in one sentence."""
        if self.value is None:
            return f"Neither side has a value ({between})."
        noise = f" and {self.limit - self.threshold:.3f} for noise in {self.values:,} values" if self.values else ""
        return (
            f"{self.measure} {between} is {self.value:.3f}; "
            f"allowed is {self.limit:.3f} (threshold {self.threshold:g}{noise})."
        )


def drift_gates(
    train: Statistics, live: Statistics, version: int, schema: schema_pb2.Schema, options: ValidationOptions
) -> list[Gate]:
    """Makes the gates `drift/<feature>`: the train split against the live version's.

    Args:
        train: statistics of this run's train split.
        live: statistics of the train split that the live version came from.
        version: the live version's number.
        schema: names the features to compare in its `drift_comparator`s.
        options: allowance for noise and severity.
    """
    gates = []
    known = {each.path.step[0] for each in live.datasets[0].features}
    for name, distance in _distances(train, live, schema, "drift_comparator", options).items():
        if name not in known:
            why = f"The feature is new: version {version} was trained without it."
            gates.append(Gate(f"drift/{name}", True, None, distance.limit, why, options.severity.drift))
            continue
        why = distance.sentence(f"between the train splits of this run and of the live version {version}")
        gates.append(_gate(f"drift/{name}", distance, why, options.severity.drift))
    return gates


def skew_gates(
    train: Statistics, others: Mapping[str, Statistics], schema: schema_pb2.Schema, options: ValidationOptions
) -> list[Gate]:
    """Makes the gates `skew/<feature>`: the train split against each other split, of which the worst one counts.

    Args:
        train: statistics of the train split.
        others: split → its statistics; splits without rows are left out here, `rows/<split>` tells of them.
        schema: names the features to compare in its `skew_comparator`s.
        options: allowance for noise and severity.
    """
    worst: dict[str, tuple[str, Distance]] = {}
    for split, of_split in others.items():
        if not of_split.datasets[0].num_examples:
            continue
        for name, distance in _distances(train, of_split, schema, "skew_comparator", options).items():
            if name not in worst or _excess(distance) > _excess(worst[name][1]):
                worst[name] = (split, distance)
    return [
        _gate(f"skew/{name}", distance, distance.sentence(f"between train and {split}"), options.severity.skew)
        for name, (split, distance) in worst.items()
    ]


def _gate(name: str, distance: Distance, why: str, severity) -> Gate:
    passed = distance.value is None or distance.value <= distance.limit
    return Gate(name, passed, distance.value, distance.limit, why, severity)


def _excess(distance: Distance) -> float:
    return -math.inf if distance.value is None else distance.value - distance.limit


def _distances(
    train: Statistics, other: Statistics, schema: schema_pb2.Schema, comparator: str, options: ValidationOptions
) -> dict[str, Distance]:
    """Measures every feature that has the comparator.

    The limit is the threshold plus `noise_allowance / sqrt(n)`, n being the number of values on the smaller side:
    a share that is estimated from n values has a standard error of at most `1 / (2 sqrt(n))`.
    """
    drift = comparator == "drift_comparator"
    anomalies = tfdv.validate_statistics(
        train,
        schema,
        previous_statistics=other if drift else None,
        serving_statistics=None if drift else other,
    )
    measured = {}
    for info in anomalies.drift_skew_info:
        for measurement in info.drift_measurements if drift else info.skew_measurements:
            measured[info.path.step[0]] = measurement.value
    measured |= _of_numbers(train, other)
    filled = {side: _filled(of_side) for side, of_side in (("train", train), ("other", other))}
    rows = {"train": train.datasets[0].num_examples, "other": other.datasets[0].num_examples}
    result = {}
    for feature in schema.feature:
        measure = _measure(getattr(feature, comparator))
        if measure is None:
            continue
        threshold = getattr(getattr(feature, comparator), measure).threshold
        here, there = filled["train"].get(feature.name, 0), filled["other"].get(feature.name, 0)
        value = measured.get(feature.name)
        if value is None and (here or there):
            # One side has no value at all: as far apart as can be, judged by how many values were to be expected.
            value = 1.0
            here = here or int(rows["train"] * there / max(rows["other"], 1))
            there = there or int(rows["other"] * here / max(rows["train"], 1))
        values = int(min(here, there))
        noise = options.noise_allowance / math.sqrt(values) if values else 1.0
        result[feature.name] = Distance(value, threshold + noise, threshold, values, MEASURES[measure])
    return result


def _of_numbers(train: Statistics, other: Statistics) -> dict[str, float]:
    """Jensen-Shannon divergence of the numbers that both sides have, over bins that are the same for both.

    TFDV takes each side's standard histogram, whose bins go by its own least and greatest value: one far row on one
    side, and most rows of the other lie in other bins. These bins end at either side's quantiles.
    """
    sides = [quantiles_of(side) for side in (train, other)]
    found = {}
    for name in sides[0].keys() & sides[1].keys():
        quantiles = [side[name] for side in sides]
        found[name] = jensen_shannon_divergence(*(each.counts(shared_ends(quantiles)) for each in quantiles))
    return found


def _measure(comparator: schema_pb2.FeatureComparator) -> str | None:
    return next((name for name in MEASURES if comparator.HasField(name)), None)


def _filled(statistics: Statistics) -> dict[str, int]:
    return {each.path.step[0]: common_statistics(each).num_non_missing for each in statistics.datasets[0].features}
