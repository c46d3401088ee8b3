"""How features and labels are spread over the splits, beside what the live version was trained on."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from components.pusher.versions import STATISTICS_FILE, TEXT_PROFILE_FILE, statistics_file, text_profile
from models.spec import LABEL_TYPES
from pipeline.config import PipelineConfig
from pipeline.history import Run
from pipeline.report.facts import DistributionFact
from pipeline.report.page import number

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0.statistics_pb2 import DatasetFeatureStatisticsList as Statistics

MOST_VALUES = 8


def distribution_facts(
    run: Run,
    splits: "Mapping[str, Statistics | None]",
    config: PipelineConfig,
    serving_dir: Path,
    live_version: int,
) -> list[DistributionFact]:
    """One of each label, number, category and text that StatisticsGen or DataGate came to look at.

    Args:
        run: that they belong to.
        splits: split → its statistics, in the order in which they are shown, train first.
        config: says what features and labels are.
        serving_dir: where the live version may lie still.
        live_version: 0 where nothing was live.
    """
    live = {f"live version {live_version}": live_version} if live_version else {}
    of_live = {name: _read(statistics_file(serving_dir, version, "train")) for name, version in live.items()}
    statistics = {name: each for name, each in {**splits, **of_live}.items() if each is not None}
    gate = run.steps.get("DataGate")
    blessing = gate.output("blessing") if gate else None
    profiles = {"train": Path(blessing.uri, TEXT_PROFILE_FILE)} if blessing is not None else {}
    profiles |= {name: text_profile(serving_dir, version) for name, version in live.items()}
    kinds = {name: LABEL_TYPES[head.type] for name, head in config.heads.items()}
    kinds |= {name: feature.type for name, feature in config.features.items() if feature.type != "passthrough"}
    found, values = {"text": _texts(profiles), "number": _numbers(statistics)}, _values(statistics)
    return [made for name, kind in kinds.items() if (made := found.get(kind, values).get(name)) is not None]


def read_statistics(run: Run, split: str) -> "Statistics | None":
    """What StatisticsGen found; None where it did not come to an end."""
    step = run.steps.get("StatisticsGen")
    artifact = step.output("statistics") if step else None
    return _read(Path(artifact.uri, f"Split-{split}", STATISTICS_FILE)) if artifact is not None else None


def _read(path: Path) -> "Statistics | None":
    from tensorflow_metadata.proto.v0 import statistics_pb2

    return statistics_pb2.DatasetFeatureStatisticsList.FromString(path.read_bytes()) if path.exists() else None


def _numbers(statistics: "Mapping[str, Statistics]") -> dict[str, DistributionFact]:
    """Bins end at the quantiles of train."""
    from components.data_gate.quantiles import Quantiles, quantiles_of

    by_name: dict[str, dict[str, Quantiles]] = {}
    for split, of_split in statistics.items():
        for name, of_feature in quantiles_of(of_split).items():
            by_name.setdefault(name, {})[split] = of_feature
    found = {}
    for name, quantiles in by_name.items():
        ends = next(each.ends for each in quantiles.values())
        bins = [*(f"≤ {number(end)}" for end in ends), f"> {number(ends[-1])}"]
        counts = {split: each.counts(ends).tolist() for split, each in quantiles.items()}
        found[name] = _fact(name, "number", bins, counts)
    return found


def _values(statistics: "Mapping[str, Statistics]") -> dict[str, DistributionFact]:
    """The most frequent values of all, and the others as one."""
    by_name: dict[str, dict[str, dict[str, float]]] = {}
    rows: dict[str, dict[str, float]] = {}
    for split, each in statistics.items():
        for feature in each.datasets[0].features:
            of_values = feature.string_stats
            counts = {bucket.label: bucket.sample_count for bucket in of_values.rank_histogram.buckets}
            if counts:
                by_name.setdefault(feature.path.step[0], {})[split] = counts
                rows.setdefault(feature.path.step[0], {})[split] = of_values.common_stats.tot_num_values
    found = {}
    for name, counts in by_name.items():
        shares: dict[str, float] = {}
        for split, of_split in counts.items():
            for value, count in of_split.items():
                shares[value] = max(shares.get(value, 0.0), count / rows[name][split])
        listed = sorted(shares, key=lambda value: -shares[value])[:MOST_VALUES]
        others = ["others"] if len(shares) > MOST_VALUES else []
        table = {}
        for split, of_split in counts.items():
            own = [of_split.get(value, 0.0) for value in listed]
            table[split] = [*own, *(max(rows[name][split] - sum(own), 0.0) for _ in others)]
        found[name] = _fact(name, "category", [*listed, *others], table)
    return found


def _texts(profiles: Mapping[str, Path]) -> dict[str, DistributionFact]:
    """Numbers of words, each bin twice as wide as the one before it."""
    from components.data_gate.words import read_profiles

    by_name: dict[str, dict[str, list[int]]] = {}
    for split, path in profiles.items():
        for name, profile in read_profiles(path).items():
            by_name.setdefault(name, {})[split] = profile.lengths
    found = {}
    for name, lengths in by_name.items():
        filled = [place for each in lengths.values() for place, texts in enumerate(each) if texts]
        if filled:
            places = range(min(filled), max(filled) + 1)
            bins = [f"{2**place:,} to {2 ** (place + 1) - 1:,}" if place else "1" for place in places]
            counts = {split: [each[place] for place in places] for split, each in lengths.items()}
            found[name] = _fact(name, "words", bins, counts)
    return found


def _fact(name: str, kind: str, bins: list[str], counts: Mapping[str, list]) -> DistributionFact:
    shares = {
        split: [round(count / max(sum(of_split), 1), 6) for count in of_split] for split, of_split in counts.items()
    }
    return DistributionFact.model_validate({"name": name, "kind": kind, "bins": bins, "shares": shares})
