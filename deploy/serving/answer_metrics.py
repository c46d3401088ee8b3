"""What a version answers, so that a dashboard sees drift: labels, confidence, and words it does not know.

The original has nothing of the kind. Measured is what the answers hold anyway; nothing more is computed for it:

- labels, from the output `label` (Predict) or the best of `classes` (Classify),
- confidence, the largest of a row's `probabilities` or `scores`,
- tokens and unknown ones among them (`[UNK]`), from the output `tokens` of calls to `explain`: only those show tokens,
  so that the share of unknown words is that of explained texts, not of all.
"""

from collections import Counter as Tally
from collections.abc import Mapping, Sequence

import numpy as np

from deploy.serving.metric_types import Counter, Histogram, Metric
from deploy.serving.tensors import Array

UNKNOWN_TOKEN = b"[UNK]"

MAX_LABELS = 100
"""Different labels that are counted per version; more are counted together as `…`, or the page grows without end."""

_CONFIDENCE_BUCKETS = tuple(round(0.05 * step, 2) for step in range(1, 21))


class AnswerMetrics:
    """Counts answers per version."""

    def __init__(self) -> None:
        self.label_count = Counter("/attention/serving/label_count")
        self.confidence = Histogram("/attention/serving/confidence", _CONFIDENCE_BUCKETS)
        self.token_count = Counter("/attention/serving/token_count")
        self.unknown_token_count = Counter("/attention/serving/unknown_token_count")

    def metrics(self) -> list[Metric]:
        """All of them, as the page shows them."""
        return [self.label_count, self.confidence, self.token_count, self.unknown_token_count]

    def record(self, model_name: str, version: int, aliases: Sequence[str], outputs: Sequence[Array]) -> None:
        """Notes the answer to one call.

        Args:
            model_name: As the server knows it.
            version: That answered.
            aliases: Names of the outputs; those of other models are passed over.
            outputs: `label` string `(batch,)`, `probabilities` or `scores` float `(batch, classes)`, `classes` string
                `(batch, classes)`, `tokens` and `token_features` string `(batch, tokens)`.
        """
        labels = {"model_name": model_name, "version": str(version)}
        by_alias = dict(zip(aliases, outputs, strict=False))
        scores = _of_rank(by_alias, ("probabilities", "scores"), 2, "f")
        if scores is not None and scores.size:
            self.confidence.observe_many(scores.max(axis=1).tolist(), **labels)
        answered = _of_rank(by_alias, ("label",), 1, "O")
        classes = _of_rank(by_alias, ("classes",), 2, "O")
        if answered is None and classes is not None and scores is not None and classes.shape == scores.shape:
            answered = classes[np.arange(len(classes)), scores.argmax(axis=1)] if scores.size else None
        if answered is not None:
            self._count_labels(answered.tolist(), labels)
        tokens = _of_rank(by_alias, ("tokens",), 2, "O")
        features = _of_rank(by_alias, ("token_features",), 2, "O")
        if tokens is not None and features is not None and tokens.shape == features.shape:
            real = tokens[features != b""].tolist()
            self.token_count.add(len(real), **labels)
            self.unknown_token_count.add(real.count(UNKNOWN_TOKEN), **labels)

    def _count_labels(self, answered: Sequence[bytes], labels: Mapping[str, str]) -> None:
        known = self.label_count.values_of("label", **labels)
        for label, count in Tally(answered).items():
            text = label.decode("utf-8", "replace")
            if text not in known and len(known) >= MAX_LABELS:
                text = "…"
            known.add(text)
            self.label_count.add(count, **labels, label=text)


def _of_rank(by_alias: Mapping[str, Array], names: Sequence[str], rank: int, kind: str) -> Array | None:
    for name in names:
        array = by_alias.get(name)
        if array is not None and array.ndim == rank and array.dtype.kind == kind:
            return array
    return None
