"""The ExampleGen node: TFX's file-based driver (spans, versions, fingerprints) with an executor of our own."""

from collections.abc import Sequence

from tfx.components.example_gen import component
from tfx.dsl.components.base import executor_spec
from tfx.proto import example_gen_pb2

from components.example_gen.executor import Executor, pack_options
from components.example_gen.inputs import WHOLE
from components.example_gen.options import ExampleGenOptions


class ExampleGen(component.FileBasedExampleGen):
    """Writes the user's table as train, eval and test splits of tf.Example.

    Component `outputs` contains:
        `examples`: `standard_artifacts.Examples` with the custom properties `rows_read`, `rows_used`,
        `rows_quarantined` (int), `quarantined_by_reason`, `rows_by_split` (JSON) and `quarantine_file`; where rows of
        older spans are replayed, `spans_replayed`, `rows_replayed` and `rows_passed_over` (int).
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, input_base: str, inputs: Sequence[tuple[str, str]], options: ExampleGenOptions) -> None:
        """Constructs the node.

        Args:
            input_base: folder below which the patterns lie; with `inputs`, what `resolve_inputs` returns.
            inputs: (split, pattern) of each path; a split may have several.
            options: what to read, how to split, which rows to refuse.
        """
        splits = [example_gen_pb2.Input.Split(name=name, pattern=pattern) for name, pattern in inputs]
        output_config = example_gen_pb2.Output()
        if {name for name, _ in inputs} == {WHOLE}:
            for name, weight in options.split.model_dump().items():
                output_config.split_config.splits.add(name=name, hash_buckets=weight)
        super().__init__(
            input_base=input_base,
            input_config=example_gen_pb2.Input(splits=splits),
            output_config=output_config,
            custom_config=pack_options(options),
        )
