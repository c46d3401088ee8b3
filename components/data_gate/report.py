"""The verdict on the data as a page of text."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from components.gates import Gate

if TYPE_CHECKING:
    from components.data_gate.findings import Finding

REPORT_FILE = "report.txt"
COUNTERS = ("rows_read", "rows_used", "rows_quarantined")
PASSED_OVER = "rows_passed_over"
"""Rows of spans before the window that are not replayed; there is no such counter where there is no such span."""


def shorten(text: str, width: int) -> str:
    """Cuts a text and makes it one line, so that a value can stand in a sentence."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


def counters(examples: Any) -> dict[str, Any]:
    """What ExampleGen counted, from the custom properties of its artifact; empty for another ExampleGen's."""
    found: dict[str, Any] = {
        name: examples.get_int_custom_property(name)
        for name in (*COUNTERS, PASSED_OVER)
        if examples.has_custom_property(name)
    }
    for name in ("quarantined_by_reason", "first_quarantined"):
        if examples.has_custom_property(name):
            found[name] = json.loads(examples.get_string_custom_property(name))
    if examples.has_custom_property("quarantine_file"):
        found["quarantine_file"] = examples.get_string_custom_property("quarantine_file")
    return found


def render(gates: list[Gate], findings: Iterable["Finding"], counted: dict[str, Any]) -> str:
    """Writes the report.

    Args:
        gates: all verdicts.
        findings: what breaks the schema.
        counted: ExampleGen's counters.

    Returns:
        Text of short lines: verdict, rows, gates (failed ones first), findings with rows.
    """
    blocking = [gate.name for gate in gates if gate.blocks]
    lines = [f"Blocked by {', '.join(blocking)}." if blocking else "The data may be trained on.", ""]
    if set(COUNTERS) <= set(counted):
        read, used, quarantined = (counted[name] for name in COUNTERS)
        passed_over = f", {counted[PASSED_OVER]:,} of older spans passed over" if PASSED_OVER in counted else ""
        lines.append(f"Rows: {read:,} read, {used:,} used, {quarantined:,} quarantined{passed_over}")
        reasons = counted.get("quarantined_by_reason", {})
        lines += [f"  {number:>9,} {reason}" for reason, number in sorted(reasons.items(), key=lambda item: -item[1])]
        lines.append("")
    lines.append("Gates")
    for gate in sorted(gates, key=lambda gate: gate.passed):
        verdict = "passed" if gate.passed else "FAILED" if gate.blocks else "OVERRULED" if gate.overruled else "WARNED"
        lines.append(f"  {verdict} {gate.name}: {gate.why}")
        if not gate.passed:
            lines += [f"         e.g. {row}" for row in gate.rows]
    for finding in findings:
        lines += ["", f"Split {finding.split}" + (f", feature {finding.feature}" if finding.feature else "")]
        if finding.expected:
            lines.append(f"  expected  {finding.expected}")
        lines.append(f"  came      {finding.came}")
        if finding.scanned:
            lines.append(f"  rows      {finding.rows:,} of {finding.scanned:,}")
        lines += [f"  e.g.      {row}" for row in finding.examples]
    return "\n".join(lines) + "\n"
