"""What keeps an engine from doing the work of a run, found before its first step."""

import os
import shutil
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from components.example_gen.files import is_remote
from components.example_gen.inputs import paths_of
from pipeline.assets import PREFIX
from pipeline.beam.options import AnyBeam, DataflowBeam, FlinkBeam, PortableBeam, SparkBeam
from pipeline.config import ConfigError, PipelineConfig
from pipeline.workspace import Workspace

CONNECT_TIMEOUT_SECONDS = 10


def check(config: PipelineConfig, workspace: Workspace, inputs: Iterable[str] | None = None) -> None:
    """Looks whether the engine is there and its workers see what they read and write.

    Args:
        config: its `beam` group names the engine.
        workspace: of the run.
        inputs: paths that the workers use beside it; default: `data.input`.

    Raises:
        ConfigError: one line for every fault.
    """
    if inputs is None:
        source = config.data.input
        parts = source.values() if isinstance(source, dict) else [source]
        inputs = [path for part in parts for path in paths_of(part)]
    paths = [path if path.startswith(PREFIX) else os.path.abspath(path) for path in inputs if not is_remote(path)]
    faults = list(_faults(config.beam, [str(workspace.root), *paths]))
    if faults:
        raise ConfigError("\n".join(faults))


def _faults(beam: AnyBeam, paths: list[str]) -> Iterator[str]:
    if isinstance(beam, DataflowBeam):
        yield (
            "`beam.runner: dataflow`: its workers see gs:// alone, and the artifacts of a run lie in a folder of this "
            f"machine ({paths[0]}): take an engine whose workers can mount that (flink, spark, portable)."
        )
    elif isinstance(beam, PortableBeam | FlinkBeam | SparkBeam):
        yield from _unseen(beam, paths)
        yield from _engine_faults(beam)


def _unseen(beam: PortableBeam | FlinkBeam | SparkBeam, paths: Iterable[str]) -> Iterator[str]:
    """Workers on this machine see its disk; those elsewhere, and containers, see what they are given."""
    if _is_here(_engine(beam)) and beam.worker_image is None:
        return
    for path in paths:
        if beam.shared_folder is None:
            yield (
                f"`beam.shared_folder` must name the folder that this machine and all workers of the engine see under "
                f"the same path, and {path} must lie in it: what one worker writes there, the next one reads."
            )
            return
        if path.startswith(PREFIX) or not Path(path).is_relative_to(beam.shared_folder):
            yield f"`beam.shared_folder` must hold what workers use. Received: {beam.shared_folder}; outside is {path}."


def _engine_faults(beam: PortableBeam | FlinkBeam | SparkBeam) -> Iterator[str]:
    name, address = _engine(beam)
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), CONNECT_TIMEOUT_SECONDS).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        yield f"`beam.{name}`: nothing answers at {address} ({reason}). Start the engine, or mend the address."
    if isinstance(beam, PortableBeam):
        return
    if shutil.which("java") is None:
        yield f"`beam.runner: {beam.runner}` starts Beam's job server, a Java program, and there is no `java` here."
    jar = beam.job_server_jar
    if jar is not None and not is_remote(jar) and not os.path.exists(jar):
        yield f"`beam.job_server_jar`: there is no file {jar}."


def _engine(beam: PortableBeam | FlinkBeam | SparkBeam) -> tuple[str, str]:
    """The setting that holds the engine's address, and the address."""
    if isinstance(beam, PortableBeam):
        return "job_endpoint", beam.job_endpoint
    return "master", beam.master.removeprefix("spark://")


def _is_here(engine: tuple[str, str]) -> bool:
    host = engine[1].rpartition(":")[0]
    return host == "localhost" or host.startswith("127.")
