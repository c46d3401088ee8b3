"""The config's `beam` group → Beam pipeline options."""

from pipeline.config import BeamConfig


def pipeline_args(beam: BeamConfig) -> list[str]:
    """Beam's arguments. The mode is always said: left open, Beam looks for a runner on the network."""
    mode, workers = ("in_memory", 1) if beam.runner == "direct" else ("multi_processing", beam.workers)
    return ["--runner=DirectRunner", f"--direct_running_mode={mode}", f"--direct_num_workers={workers}"]
