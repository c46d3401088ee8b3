"""The file of synonyms: words that may stand in each other's place without changing an answer."""

from pathlib import Path

from pipeline.config import ConfigError

MAX_CHARACTERS = 50_000
"""The groups travel with the ReleaseGate's options, so that another file is another run."""


def read_synonyms(path: str | None) -> tuple[tuple[str, ...], ...]:
    """Reads groups of words.

    Args:
        path: of a text file; a line holds the words of a group with commas between them, `#` begins a remark.

    Returns:
        Each group in lower case; none where there is no path.

    Raises:
        ConfigError: the file cannot be read, is too large, or a line is no group.
    """
    if path is None:
        return ()
    where = f"`evaluation.robustness.synonyms` ({path})"
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where} cannot be read: {error}.") from None
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(f"{where} may have {MAX_CHARACTERS:,} characters. Received: {len(text):,}.")
    groups: dict[str, int] = {}
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = tuple(word.strip().lower() for word in line.partition("#")[0].split(","))
        if words == ("",):
            continue
        if len(words) < 2 or not all(word.replace("_", "").isalnum() for word in words):
            raise ConfigError(
                f"{where}, line {number}: must hold two words or more with commas between them. Received: {line!r}."
            )
        for word in words:
            if word in groups:
                raise ConfigError(f"{where}, line {number}: {word!r} stands in line {groups[word]} already.")
            groups[word] = number
        found.append(words)
    if not found:
        raise ConfigError(f"{where} holds no group of words.")
    return tuple(found)
