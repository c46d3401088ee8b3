import collections

import pytest

from models.labels.class_names import require_two, sort_classes


def test_classes_are_sorted_by_name_not_by_count():
    assert sort_classes(collections.Counter({b"yes": 9, b"no": 1})) == [b"no", b"yes"]


@pytest.mark.parametrize("name", [b"", b"two\nlines"])
def test_refuses_what_a_vocabulary_file_cannot_keep(name):
    with pytest.raises(ValueError, match="must be one line of text"):
        sort_classes(collections.Counter({name: 1, b"fine": 1}))


def test_one_class_says_nothing():
    with pytest.raises(ValueError, match=r"at least two classes of `topic`. Received: \['one'\]"):
        require_two(("one",), "topic")
