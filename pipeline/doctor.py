"""`attention doctor`: what this machine has, and what is missing for a run."""

import importlib.metadata
import json
import os
import platform
import shutil
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from pipeline import assets
from pipeline.config_groups import ServingConfig

PACKAGES = ("tfx", "tensorflow", "keras", "keras-nlp", "tensorflow-text", "apache-beam", "tensorflow-serving-api")
LEAST_FREE_GB = 5
LEAST_MEMORY_GB = 6


@dataclass(frozen=True)
class Finding:
    name: str
    good: bool
    text: str


def findings() -> list[Finding]:
    """Everything that is looked at; nothing is imported that takes long, nothing is changed."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    found = [
        Finding("python", sys.version_info[:2] >= (3, 11), f"{platform.python_version()} at {sys.executable}"),
        Finding("glibc", True, os.confstr("CS_GNU_LIBC_VERSION") or "unknown"),
        Finding("cores", True, str(len(os.sched_getaffinity(0)))),
        Finding("memory", memory >= LEAST_MEMORY_GB, f"{memory:.0f} GB (a run wants {LEAST_MEMORY_GB})"),
        Finding("disk", free >= LEAST_FREE_GB, f"{free:.0f} GB free here (a run wants {LEAST_FREE_GB})"),
        Finding("writable", os.access(Path.cwd(), os.W_OK), f"{Path.cwd()}"),
        Finding("gpu", True, _gpu()),
        Finding("assets", True, f"cached in {assets.cache_dir()}"),
    ]
    for package in PACKAGES:
        try:
            found.append(Finding(package, True, importlib.metadata.version(package)))
        except importlib.metadata.PackageNotFoundError:
            found.append(Finding(package, False, "not installed: run `make venv`"))
    serving = ServingConfig()
    for name, port in (("port", serving.port), ("rest_api_port", serving.rest_api_port)):
        taken = _taken(port)
        found.append(Finding(name, not taken, f"{port} is {'taken: serve on another' if taken else 'free'}"))
    return found


def _gpu() -> str:
    devices = sorted(str(path) for path in Path("/dev").glob("nvidia[0-9]*"))
    return ", ".join(devices) if devices else "none: training runs on the CPU"


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def examine(as_json: bool) -> bool:
    """Prints the findings.

    Returns:
        Whether a run can be expected to work.
    """
    found = findings()
    if as_json:
        print(json.dumps([asdict(finding) for finding in found]))
    else:
        console = Console(highlight=False)
        for finding in found:
            mark = "[green]✓[/]" if finding.good else "[red]✗[/]"
            console.print(f"{mark} {finding.name:<24} {escape(finding.text)}")
    return all(finding.good for finding in found)
