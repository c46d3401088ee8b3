"""Gates on their way through an artifact."""

import json

import pytest

from components.artifacts import DataBlessing
from components.gates import Gate, publish_gates, read_gates, write_gates

PASSED = Gate("rows/train", True, 10, 1, "There are 10 rows.")
BLOCKED = Gate("drift/age", False, 0.5, 0.2, "Änderung 0.5")
WARNED = Gate("skew/age", False, 0.5, 0.2, "0.5", severity="warn")


def test_what_is_written_is_read(tmp_path):
    write_gates(str(tmp_path / "new"), [PASSED, BLOCKED, WARNED])
    assert read_gates(str(tmp_path / "new")) == [PASSED, BLOCKED, WARNED]


def test_numbers_that_json_lacks_become_null(tmp_path):
    write_gates(str(tmp_path), [Gate("metric/auc", False, float("nan"), float("inf"), "AUC is nan.")])
    (gate,) = json.loads((tmp_path / "gates.json").read_text())
    assert gate["value"] is None
    assert gate["limit"] is None


@pytest.mark.parametrize(
    ("gates", "blessed"), [([PASSED], 1), ([PASSED, WARNED], 1), ([PASSED, BLOCKED], 0), ([WARNED], 1), ([], 0)]
)
def test_blessed_if_there_is_a_gate_and_none_blocks(tmp_path, gates, blessed):
    artifact = DataBlessing()
    artifact.uri = str(tmp_path)
    assert publish_gates(artifact, gates) == bool(blessed)
    assert artifact.get_int_custom_property("blessed") == blessed


def test_no_gates_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gates\.json"):
        read_gates(str(tmp_path))
