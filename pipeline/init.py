"""Looks at a table and makes a config of it: `attention init`, and runs without a config."""

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from components.example_gen.errors import InputDataError
from components.example_gen.guess import ColumnGuess, count_classes, guess_features
from components.example_gen.options import LABEL_KEY, SPLITS
from pipeline import assets
from pipeline.config import ConfigError, parse

DEFAULT_MAX_DROP = 0.01
MOST_CLASSES = 1000
MOST_NUMBERS_AS_CLASSES = 20
LONG_TEXT = 256
"""`max_len` of a column with many long texts: twice the usual, and with the others still within a BERT's 512."""
"""A label of more different numbers is taken to be a number."""


def parse_data(data: Iterable[str]) -> str | dict[str, str]:
    """`--data FILE` or `--data train=A --data test=B` → what the config's `data.input` holds.

    Raises:
        ConfigError: both ways at once, one split twice, or no train split.
    """
    sources = list(data)
    named = dict(source.split("=", 1) for source in sources if source.partition("=")[0] in SPLITS)
    if not named and len(sources) == 1:
        return _absolute(sources[0])
    if len(named) != len(sources):
        raise ConfigError(
            "--data takes one file, or train=FILE with eval=FILE or test=FILE, each once. "
            f"Received: {', '.join(sources)}."
        )
    if "train" not in named:
        raise ConfigError(f"--data needs train=FILE among the splits. Received: {', '.join(sources)}.")
    return {split: _absolute(path) for split, path in named.items()}


def _absolute(path: str) -> str:
    return path if path.startswith(assets.PREFIX) or "://" in path else str(Path(path).expanduser().absolute())


def guess_config(data: str | dict[str, str], label: str, name: str | None = None) -> dict[str, Any]:
    """Makes the raw config of a table.

    Args:
        data: as the config's `data.input`.
        label: the label's column.
        name: of the pipeline; by default the table's.

    Raises:
        ConfigError: the table cannot be read, or holds nothing to learn from.
    """
    return yaml.safe_load(config_text(data, label, name))


def write_config(table: str, label: str, out: Path | None, name: str | None, force: bool) -> Path:
    """Writes a commented config that runs as it is.

    Returns:
        The file.

    Raises:
        ConfigError: the table cannot be read, or the file stands already.
    """
    data = _absolute(table)
    text = config_text(data, label, name)
    path = out or Path(f"{name or _name_of(data)}.yaml")
    if path.exists() and not force:
        raise ConfigError(f"{path} stands already: choose another --out, or write over it with --force.")
    parse(yaml.safe_load(text), str(path))
    path.write_text(text, encoding="utf-8")
    return path


def config_text(data: str | dict[str, str], label: str, name: str | None = None) -> str:
    """The config of a table as YAML with a comment for every guess.

    Raises:
        ConfigError: the table cannot be read, or holds nothing to learn from.
    """
    resolved = (
        assets.resolve(data) if isinstance(data, str) else {key: assets.resolve(value) for key, value in data.items()}
    )
    try:
        guesses = guess_features(resolved, label)
        classes = count_classes(resolved, label)
    except InputDataError as error:
        raise ConfigError(str(error)) from None
    if not any(guess.type != "skip" for guess in guesses):
        told = "; ".join(f"{guess.column}: {guess.reason}" for guess in guesses) or "there is no other column"
        raise ConfigError(f"Beside the label {label!r} no column is one to learn from ({told}).")
    numbers = _as_numbers(classes)
    if len(numbers) > MOST_NUMBERS_AS_CLASSES:
        head, gate = _regression(label, numbers)
        return _text(name or _name_of(data), {"input": data}, head, guesses, gate)
    if len(classes) < 2 or len(classes) > MOST_CLASSES:
        raise ConfigError(
            f"The label {label!r} has {len(classes):,} different values in the rows looked at; "
            f"a classifier wants 2 to {MOST_CLASSES:,}. Is it the right column?"
        )
    majority = max(classes.values()) / sum(classes.values())
    about = [f"# What is learnt: {label} ({_shares(classes)})."]
    gate = (
        f"accuracy: {{min: {majority:.3f}, max_drop: {DEFAULT_MAX_DROP}}}  # always saying {next(iter(classes))!r} "
        f"is right in {majority:.1%}"
    )
    return _text(name or _name_of(data), {"input": data, "label": label}, about, guesses, gate)


def _text(name: str, data: dict[str, Any], head: list[str], guesses: Iterable[ColumnGuess], gate: str) -> str:
    lines = [
        *head,
        f"name: {name}",
        *_block({"data": data}),
        "",
        "# Types were guessed; `type: passthrough` keeps a column for slices without showing it to the model.",
        "features:",
        *(_feature_line(guess) for guess in guesses),
        "",
        "evaluation:",
        "  # Metrics by the values of these features, e.g. [country]; a list in it crosses features.",
        "  slices: []",
        "  # Nothing passes without a gate. max_drop and max_rise: against the version that is live. Beside them stand",
        "  # flips, calibration, robustness, fairness, attention, sanity and cost, each with limits and a severity.",
        "  gates:",
        f"    {gate}",
        "",
        "# All other settings have defaults: `attention config-schema` describes them.",
    ]
    return "\n".join(lines) + "\n"


def _as_numbers(values: dict[str, int]) -> dict[float, int]:
    """The values as numbers, with how often each occurs; empty if one of them is no number."""
    try:
        numbers = {float(value): count for value, count in values.items()}
    except ValueError:
        return {}
    return numbers if all(map(math.isfinite, numbers)) else {}


def _regression(label: str, numbers: dict[float, int]) -> tuple[list[str], str]:
    """What the config says of a label that is a number, and its gate: better than always saying the mean."""
    rows = sum(numbers.values())
    mean = sum(number * count for number, count in numbers.items()) / rows
    deviation = (sum((number - mean) ** 2 * count for number, count in numbers.items()) / rows) ** 0.5
    head = [
        f"# What is learnt: {label}, a number from {min(numbers):g} to {max(numbers):g}, {mean:g} on average.",
        *_block({"heads": {LABEL_KEY: {"column": label, "type": "regression"}}}),
        "",
    ]
    gate = (
        f"root_mean_squared_error: {{max: {deviation:.4g}, max_rise: {deviation * DEFAULT_MAX_DROP:.4g}}}  "
        "# always saying the mean has the upper limit"
    )
    return head, gate


def _feature_line(guess: ColumnGuess) -> str:
    settings: dict[str, Any] = {"type": guess.type}
    if guess.column != guess.name:
        settings["column"] = guess.column
    if guess.long:
        settings["max_len"] = LONG_TEXT
    flow = yaml.safe_dump(
        {guess.name: settings}, default_flow_style=True, allow_unicode=True, width=10_000, sort_keys=False
    )
    line = flow.strip()[1:-1]
    examples = ", ".join(_one_line(example, 24) for example in guess.examples)
    about = _one_line(f"{guess.reason}{': ' + examples if examples else ''}", 90)
    if guess.type == "skip":
        mark = "SUSPICIOUS" if guess.suspicious else "left out"
        return f"  # {guess.name}: {mark}, {about}"
    return f"  {line}  # {about}"


def _block(value: dict[str, Any]) -> list[str]:
    return yaml.safe_dump(value, allow_unicode=True, sort_keys=False, width=10_000).rstrip().splitlines()


def _shares(classes: dict[str, int]) -> str:
    rows = sum(classes.values())
    shown = [f"{_one_line(name, 20)} {count / rows:.1%}" for name, count in list(classes.items())[:5]]
    return ", ".join(shown) + (f", {len(classes) - 5} more" if len(classes) > 5 else "")


def _one_line(text: str, most: int) -> str:
    text = " ".join(str(text).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _name_of(data: str | dict[str, str]) -> str:
    path = data if isinstance(data, str) else data["train"]
    stem = Path(path.removeprefix(assets.PREFIX)).name.split(".")[0]
    slug = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")
    return slug if re.match(r"[a-z]", slug) else f"table_{slug}".rstrip("_")
