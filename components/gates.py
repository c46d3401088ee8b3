"""What a gate says, and how gates travel: as `gates.json` in the artifact that the gate's component publishes."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

GATES_FILE = "gates.json"
BLESSED_PROPERTY = "blessed"
OVERRULED_PROPERTY = "overruled"
EVALUATOR_GATE = "metric/blessing"
"""The gate that repeats the Evaluator's own verdict, which follows from the other gates on metrics."""

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
        rows: examples, each in one line; the first are the clearest.
        overruled: why a person let this run pass although the gate did not; empty where none did.
    """

    name: str
    passed: bool
    value: float | None
    limit: float | None
    why: str
    severity: Severity = "block"
    rows: list[str] = field(default_factory=list)
    overruled: str = ""

    @property
    def blocks(self) -> bool:
        """Whether this gate stops the run."""
        return not self.passed and self.severity == "block" and not self.overruled

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
    def set_string_custom_property(self, key: str, value: str) -> None: ...


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


def overrule(gates: Iterable[Gate], overrules: Mapping[str, str]) -> list[Gate]:
    """Lets those gates no longer block that a person named, with the reason.

    The gate that repeats the Evaluator's verdict follows the other gates on metrics: once none of them blocks, it does
    not either.

    Args:
        gates: all verdicts of a component.
        overrules: gate → reason; gates that passed are left as they are.
    """
    ruled = [
        replace(gate, overruled=overrules[gate.name]) if not gate.passed and gate.name in overrules else gate
        for gate in gates
    ]
    metrics = [gate for gate in ruled if gate.name.startswith("metric/") and gate.name != EVALUATOR_GATE]
    reasons = "; ".join(f"{gate.name}: {gate.overruled}" for gate in metrics if gate.overruled)
    if reasons and not any(gate.blocks for gate in metrics):
        ruled = [
            replace(gate, overruled=reasons) if gate.name == EVALUATOR_GATE and gate.blocks else gate for gate in ruled
        ]
    return ruled


def overruled_of(artifact: Any) -> dict[str, str]:
    """Gate → reason, of the gates that were overruled when an artifact of TFX was published."""
    if not artifact.has_custom_property(OVERRULED_PROPERTY):
        return {}
    return json.loads(artifact.get_string_custom_property(OVERRULED_PROPERTY))


def publish_gates(artifact: Publishable, gates: list[Gate]) -> bool:
    """Writes the gates and blesses the artifact if there is a gate and none blocks.

    Args:
        artifact: gets `gates.json` and the custom properties `blessed` (1 or 0) and, if any gate was, `overruled`
            (JSON: gate → reason).
        gates: all verdicts of the component.

    Returns:
        Whether the artifact is blessed.
    """
    write_gates(artifact.uri, gates)
    overruled = {gate.name: gate.overruled for gate in gates if gate.overruled}
    if overruled:
        artifact.set_string_custom_property(OVERRULED_PROPERTY, json.dumps(overruled, ensure_ascii=False))
    blessed = bool(gates) and not any(gate.blocks for gate in gates)
    artifact.set_int_custom_property(BLESSED_PROPERTY, int(blessed))
    return blessed
