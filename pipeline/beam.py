"""The config's `beam` group → Beam pipeline options."""

from pipeline.config_groups import BeamConfig


def pipeline_args(beam: BeamConfig) -> list[str]:
    """Beam's arguments. The mode is always said: left open, Beam looks for a runner on the network."""
    mode, workers = ("in_memory", 1) if beam.runner == "direct" else ("multi_processing", beam.workers)
    # Without a worker image TFX builds a package of itself for every Beam node; local workers need none.
    image = "--sdk_container_image=unused"
    arguments = [image, "--runner=DirectRunner", f"--direct_running_mode={mode}", f"--direct_num_workers={workers}"]
    if beam.runner == "processes":
        arguments.append("--beam_plugin=tensorflow_text")  # its ops are in the graphs that the workers load
    return arguments
