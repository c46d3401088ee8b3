"""Configs that come with the project, known by name."""

from pathlib import Path

HERE = Path(__file__).parent


def names() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.yaml"))


def path(name: str) -> Path:
    """The file of a preset."""
    return HERE / f"{name}.yaml"


def find(name: str) -> Path | None:
    """The file of a preset; None if there is none of that name."""
    return path(name) if name in names() else None
