"""What a search found, as the Tuner left it, and which of the searches of a pipeline counts."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.search_space import SEARCH_KEY, TuneOptions, shown, tuned_values
from pipeline.history import History

FILE = "best_hyperparameters.txt"
"""As TFX names it."""

TUNER, IMPORTER = "Tuner", "TunedValues"
"""Nodes that give the Trainer its values: the search, or in later runs what an earlier one found."""

OUTPUTS = {TUNER: "best_hyperparameters", IMPORTER: "result"}


@dataclass(frozen=True)
class Found:
    """The outcome of a search.

    Attributes:
        values: dotted path → best value.
        objective: metric on the eval split.
        score: its best value.
        space: as `TuneOptions.space` was.
        trials: each with `trial`, `state`, `score`, `values`, `epochs` and `why`.
    """

    values: dict[str, Any]
    objective: str
    score: float
    space: dict[str, Any]
    trials: list[dict[str, Any]]

    @property
    def text(self) -> str:
        """One line of it."""
        failed = sum(trial["state"] == "failed" for trial in self.trials)
        return (
            f"{len(self.trials)} trials{f', {failed} of them failed' if failed else ''}, best {self.objective} "
            f"{self.score:.4f} with {shown(self.values)}"
        )


def read(uri: str) -> Found:
    """Reads the artifact of the best hyperparameters."""
    hyperparameters = json.loads(Path(uri, FILE).read_text(encoding="utf-8"))
    return Found(values=tuned_values(hyperparameters), **hyperparameters[SEARCH_KEY])


def newest(history: History, tune: TuneOptions) -> tuple[str, str]:
    """Looks for the newest search of this space.

    Returns:
        Where its artifact lies, empty if there is none that counts; and a line for the person who runs the pipeline.
    """
    space = tune.model_dump(mode="json")["space"]
    others = 0
    for uri in history.outputs(OUTPUTS):
        if not Path(uri, FILE).exists():
            continue
        found = read(uri)
        if found.space == space:
            return uri, f"`tune`: the best values of an earlier search count: {shown(found.values)}"
        others += 1
    if others:
        return "", "`tune.space` is another than in earlier searches, so the config's own values count until --tune"
    return "", "`tune`: nothing was searched yet, so the config's own values count until --tune"
