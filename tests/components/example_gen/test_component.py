"""The node under TFX's own driver: what is cached, what is run again, which span is read."""

import pytest
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline

from components.example_gen.component import ExampleGen
from components.example_gen.inputs import resolve_inputs

pytestmark = pytest.mark.slow


@pytest.fixture
def run_pipeline(tmp_path, make_options):
    """Runs a pipeline of the one node; gives its Examples artifacts so far."""

    def run(data):
        config = metadata.sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite"))
        pipeline = Pipeline(
            pipeline_name="reviews",
            pipeline_root=str(tmp_path / "root"),
            components=[ExampleGen(*resolve_inputs(str(data)), make_options())],
            enable_cache=True,
            metadata_connection_config=config,
            beam_pipeline_args=["--runner=DirectRunner", "--direct_running_mode=in_memory"],
        )
        LocalDagRunner().run(pipeline)
        with metadata.Metadata(config) as store:
            return store.store.get_artifacts_by_type("Examples")

    return run


def test_the_same_files_are_read_once_and_changed_files_again(run_pipeline, write_reviews):
    path = write_reviews()
    (first,) = run_pipeline(path)
    assert first.custom_properties["rows_used"].int_value == 200
    assert first.custom_properties["span"].int_value == 0
    assert "total_bytes" in first.custom_properties["input_fingerprint"].string_value
    assert len(run_pipeline(path)) == 1
    write_reviews(num_rows=300)
    assert run_pipeline(path)[-1].custom_properties["rows_used"].int_value == 300


def test_the_latest_span_is_read(run_pipeline, write_reviews, tmp_path):
    write_reviews("span-1/a.csv", 100)
    write_reviews("span-2/a.csv", 150)
    (artifact,) = run_pipeline(tmp_path / "span-{SPAN}" / "*.csv")
    assert artifact.custom_properties["span"].int_value == 2
    assert artifact.custom_properties["rows_read"].int_value == 150
