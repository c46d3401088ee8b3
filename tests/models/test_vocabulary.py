import numpy as np
import pytest

from models.vocabulary import CountValuesFn, read_vocabulary


def test_counts_do_not_depend_on_bundles():
    count = CountValuesFn()
    batches = [(np.array([b"a", b"b"], object),), (np.array([[b"a"], [b"c"]], object),)]
    bundles = [count.add_input(count.create_accumulator(), batch) for batch in batches]
    merged = count.extract_output(count.merge_accumulators([*bundles, count.create_accumulator()]))
    assert merged == {b"a": 2, b"b": 1, b"c": 1}


@pytest.mark.parametrize(
    ("name", "entries"), [("classes", ["no", "yes"]), ("department_values", ["Tops", "Trend", "Bottoms"])]
)
def test_reads_what_transform_has_written(transform_output, name, entries):
    assert set(read_vocabulary(transform_output, name)) <= set(entries)
    assert len(read_vocabulary(transform_output, name)) == 2
