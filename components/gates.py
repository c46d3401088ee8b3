"""What a gate says, and how gates travel: as `gates.json` in the artifact that the gate's component publishes."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

GATES_FILE = "gates.json"
BLESSED_PROPERTY = "blessed"

Severity = Literal["block", "warn"]


@dataclass(frozen=True)
class Gate:
    """One verdict with the numbers behind it.

    Attributes:
        name: path-like, e.g. `drift/age`.
        passed: whether the value is within the limit.
        value: what was measured; None where there is no number.
        limit: what it was measured against; None where there is no number.
        why: one sentence with the numbers and, if not passed, the cure where it is known.
        severity: `block` stops the run; `warn` is only told.
    """

    name: str
    passed: bool
    value: float | None
    limit: float | None
    why: str
    severity: Severity = "block"

    @property
    def blocks(self) -> bool:
        """Whether this gate stops the run."""
        return not self.passed and self.severity == "block"

    def as_json(self) -> dict[str, Any]:
        """The gate as JSON has it: a number that is not finite, which JSON lacks, becomes null."""
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in asdict(self).items()
        }


class Publishable(Protocol):
    """The part of a TFX artifact that gates need."""

    uri: str

    def set_int_custom_property(self, key: str, value: int) -> None: ...


def write_gates(uri: str, gates: Iterable[Gate]) -> None:
    """Writes gates into an artifact's directory."""
    directory = Path(uri)
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps([gate.as_json() for gate in gates], indent=2, ensure_ascii=False, allow_nan=False)
    (directory / GATES_FILE).write_text(text + "\n", encoding="utf-8")


def read_gates(uri: str) -> list[Gate]:
    """Reads the gates of an artifact's directory.

    Raises:
        FileNotFoundError: the directory holds no `gates.json`.
    """
    return [Gate(**fields) for fields in json.loads((Path(uri) / GATES_FILE).read_text(encoding="utf-8"))]


def publish_gates(artifact: Publishable, gates: list[Gate]) -> bool:
    """Writes the gates and blesses the artifact if there is a gate and none blocks.

    Args:
        artifact: gets `gates.json` and the int custom property `blessed` (1 or 0).
        gates: all verdicts of the component.

    Returns:
        Whether the artifact is blessed.
    """
    write_gates(artifact.uri, gates)
    blessed = bool(gates) and not any(gate.blocks for gate in gates)
    artifact.set_int_custom_property(BLESSED_PROPERTY, int(blessed))
    return blessed
