from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.history import Step
from pipeline.step_reports import report


def test_rows_of_older_spans_are_told_beside_the_splits():
    examples = mlmd.Artifact()
    for name, value in {"rows_read": 9000, "spans_replayed": 3, "rows_replayed": 512}.items():
        examples.custom_properties[name].int_value = value
    examples.custom_properties["rows_by_split"].string_value = '{"train": 1512, "test": 400}'
    line, closed = report(Step("ExampleGen", "ran", 1.0, {"examples": [examples]}))
    assert line == "9,000 rows read: train 1,512, test 400; replay: 512 rows of 3 older spans"
    assert not closed
    del examples.custom_properties["spans_replayed"]
    assert "replay" not in report(Step("ExampleGen", "ran", 1.0, {"examples": [examples]}))[0]
