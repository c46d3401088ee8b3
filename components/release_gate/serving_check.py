"""Turns what the replay in the fresh process found into gates."""

import json
import logging
from pathlib import Path
from typing import Any

from components.gates import Gate
from components.release_gate.fresh_process import RESULT_FILE, FreshProcess
from components.release_gate.options import ReleaseGateOptions

OPS_FILE = "ops.json"
PYTHON_OPS = ("PyFunc", "PyFuncStateless", "EagerPyFunc")
"""Known to TensorFlow everywhere, but they call back into the Python process that wrote them."""

_logger = logging.getLogger("attention")


def serving_gates(process: FreshProcess, work_dir: Path, options: ReleaseGateOptions) -> list[Gate]:
    """Makes the gates `serving/load`, `serving/ops` and `serving/<signature>`.

    Args:
        process: at work on the model with its recorded requests.
        work_dir: its `replay.json` comes here; gets `ops.json`.
        options: signatures that must be there, and limits.
    """
    result, fault = process.wait_for(work_dir / RESULT_FILE)
    (work_dir / OPS_FILE).write_text(json.dumps(result.get("ops", {}), indent=2) + "\n", encoding="utf-8")
    fault = fault or result.get("error", "")
    own = result.get("own_modules", [])
    if not fault and own:
        fault = f"it took our own code to load it ({', '.join(own)})"
    loaded = not fault and "load_seconds" in result
    if loaded:
        megabytes = result["peak_memory_bytes"] / 1e6
        why = f"A fresh process loaded the model in {result['load_seconds']:.1f} s and took {megabytes:,.0f} MB."
        _logger.info("ReleaseGate %s", why)
    else:
        why = f"A fresh process could not serve the model: {fault or 'no reason was given'}."
    gates = [Gate("serving/load", loaded, result.get("load_seconds"), options.timeout_seconds, why)]
    gates.append(_ops_gate(result.get("ops", {}), options))
    gates += [_signature_gate(name, result.get("signatures", {}), options) for name in options.signatures]
    return gates


def _ops_gate(ops: dict[str, dict[str, Any]], options: ReleaseGateOptions) -> Gate:
    known = options.known_ops
    unknown = [
        op
        for op, found in ops.items()
        if op in PYTHON_OPS or (found["from"] == "unknown" if known is None else op not in known)
    ]
    target = "this TensorFlow" if known is None else "the target server"
    if not ops:
        why = "The model's operations could not be listed."
    elif unknown:
        why = f"{len(unknown)} of {len(ops)} operations are not known to {target}: {', '.join(unknown)}."
    else:
        text = sum(found["from"] == "tensorflow_text" for found in ops.values())
        why = f"All {len(ops)} operations are known to {target}; {text} of them come from TensorFlow Text."
    return Gate("serving/ops", bool(ops) and not unknown, len(unknown), 0, why)


def _signature_gate(name: str, signatures: dict[str, dict[str, Any]], options: ReleaseGateOptions) -> Gate:
    found = signatures.get(name)
    value, passed = None, False
    if found is None:
        why = f"The model has no signature `{name}`."
    elif found.get("error"):
        why = f"`{name}` failed on a recorded request: {found['error']}."
    elif not found.get("requests"):
        why = f"There is no recorded request for `{name}`, so it could not be checked."
    else:
        value = found["max_difference"]
        passed = value <= options.tolerance and not found["mismatches"]
        why = (
            f"`{name}` answered {found['requests']} recorded requests in {found['seconds']:.2f} s; "
            f"numbers differ by at most {value:.2g} (allowed {options.tolerance:g}), "
            f"{found['mismatches']} other values differ."
        )
    return Gate(f"serving/{name}", passed, value, options.tolerance, why)
