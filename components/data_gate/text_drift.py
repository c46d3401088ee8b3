"""How far the texts of this run's train split are from those that the live version was trained on."""

from collections.abc import Mapping

import numpy as np

from components.data_gate.words import Profile, Words, length_histogram, unseen_share
from components.gates import Gate
from components.measures import jensen_shannon_divergence
from components.schema_gen.options import ValidationOptions


def text_drift_gates(
    words: Mapping[str, Words], live: Mapping[str, Profile], version: int, options: ValidationOptions
) -> list[Gate]:
    """Makes the gates `drift/<text>/length` and `drift/<text>/unseen_words`.

    Args:
        words: text feature → the words of the train split.
        live: text feature → what the live version remembers of its own.
        version: the live version's number.
        options: thresholds, allowance for noise, and severity.
    """
    severity = options.severity.drift
    gates = []
    for name, texts in words.items():
        profile = live.get(name)
        if profile is None:
            why = f"Version {version} has no record of the texts of `{name}`, so their drift cannot be measured."
            if live:
                gates.append(Gate(f"drift/{name}", True, None, None, f"The text is new: {why}", severity))
                continue
            why += " Set `validation.severity.drift: warn` to replace it by one that has."
            gates.append(Gate(f"drift/{name}", False, None, None, why, severity))
            continue
        rows = int((texts.lengths > 0).sum())
        noise = options.noise_allowance / max(min(rows, profile.texts), 1) ** 0.5
        value = jensen_shannon_divergence(length_histogram(texts), np.array(profile.lengths)) if rows else 1.0
        limit = options.drift.text_length + noise
        why = (
            f"Jensen-Shannon divergence of the numbers of words in a text between the train splits of this run "
            f"({_mean(len(texts.ids), rows)} on average) and of the live version {version} "
            f"({_mean(profile.words, profile.texts)}) is {value:.3f}; allowed is {limit:.3f}."
        )
        gates.append(Gate(f"drift/{name}/length", value <= limit, value, limit, why, severity))
        value, examples = unseen_share(texts, profile) if rows else (1.0, [])
        expected = profile.expected_unseen
        limit = min(expected + options.drift.unseen_words + noise, 1.0)
        why = (
            f"{value:.2%} of the words are not among those that the live version {version} was trained on; allowed is "
            f"{limit:.2%} (of which {expected:.2%} is what new texts of the same kind bring)."
        )
        if value > limit or not rows:
            why += f" Most frequent: {', '.join(examples) or 'there is no word at all'}."
        gates.append(Gate(f"drift/{name}/unseen_words", bool(rows) and value <= limit, value, limit, why, severity))
    return gates


def _mean(words: int, texts: int) -> str:
    return f"{words / texts:.1f}" if texts else "none"
