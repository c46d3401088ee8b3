"""Which languages texts are in, by py3langid, whose table of 139 languages comes with the package."""

from collections import Counter

import numpy as np
import pyarrow as pa

from components.data_gate.words import Words

MAX_TEXTS = 1_000
"""Texts that are looked at, evenly spread over the split."""
MIN_WORDS = 5
"""The language of shorter texts is a guess."""


def languages_of(texts: pa.Array, words: Words) -> dict[int, str]:
    """Tells the languages of some texts.

    Args:
        texts: string `(rows,)`.
        words: of the same texts.

    Returns:
        row → ISO 639 code, of up to 1,000 texts that are long enough.
    """
    places = np.flatnonzero(words.lengths >= MIN_WORDS)
    if not len(places):
        return {}
    import py3langid  # late: it takes its table out of the package, most of a second

    chosen = places[np.linspace(0, len(places) - 1, min(MAX_TEXTS, len(places))).astype(int)].tolist()
    return {row: str(py3langid.classify(texts[row].as_py())[0]) for row in chosen}


def counted(languages: dict[int, str]) -> dict[str, int]:
    """Language → texts, the most frequent first."""
    return dict(Counter(languages.values()).most_common())
