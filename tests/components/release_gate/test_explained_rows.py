"""Which test rows are shown."""

import pytest

from components.release_gate.explained_rows import _chosen, _is_right, _sureness


@pytest.mark.parametrize(
    ("said", "labels", "right"),
    [
        ("cat", ["cat"], True),
        ("cat", ["dog"], False),
        ("", [], True),
        ("cat", [], False),
        ("cat|dog", ["dog", "cat"], True),
        ("cat, dog, eel", ["eel", "cat", "dog"], True),
        ("cat|dog", ["cat", "dog", "eel"], False),
        ("cat|dog|eel", ["cat", "dog"], False),
        ("cat", ["cat", "dog"], False),
    ],
)
def test_exactly_the_classes_of_the_row_are_right_whatever_the_separator(said, labels, right):
    assert _is_right({"label": said, "probabilities": {}}, labels) is right


def test_the_surest_are_shown_right_ones_first_and_equally_sure_ones_in_their_order():
    rows = [{"row": place, "right": place % 3 != 0, "sureness": round(0.1 * (place % 7), 1)} for place in range(30)]
    shown = _chosen(rows)
    assert [each["row"] for each in shown if each["right"]] == [13, 20, 5, 19]
    assert [each["row"] for each in shown if not each["right"]] == [6, 27, 12, 18]
    assert "sureness" not in shown[0]


def test_of_numbers_the_nearest_and_the_farthest_are_shown():
    rows = [
        {"row": place, "right": None, "sureness": _sureness({"value": float(place)}, [20.0])} for place in range(20)
    ]
    assert [each["row"] for each in _chosen(rows)] == [19, 18, 17, 16, 0, 1, 2, 3]
    assert [each["row"] for each in _chosen(rows[:5])] == [4, 3, 2, 1, 0]
