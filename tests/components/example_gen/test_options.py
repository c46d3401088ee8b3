import pytest
from pydantic import ValidationError

AGE = {"name": "age", "column": "Age", "type": "number"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": []}, "at least 1 item"),
        ({"columns": [AGE, AGE]}, r"unique. Received twice: \['age'\]"),
        ({"columns": [{**AGE, "name": "Age"}]}, "String should match pattern"),
        ({"columns": [{**AGE, "name": "label"}]}, r"features and labels must be unique. Received twice: \['label'\]"),
        ({"columns": [{**AGE, "column": "Liked"}]}, r"cannot be a feature as well. Received for both: \['Liked'\]"),
        ({"columns": [{**AGE, "type": "passthrough"}]}, "Received: passthrough only"),
        ({"labels": []}, "at least 1 item"),
        ({"encoding": "klingon"}, "Received: klingon"),
        ({"encoding": "base64"}, "Received: base64"),
        ({"delimiter": "::"}, "`delimiter` must be one character.*Received: '::'"),
        ({"split": {"train": 1, "eval": 0, "test": 1}}, "greater than or equal to 1"),
        ({"surprise": 1}, "Extra inputs are not permitted"),
    ],
)
def test_wrong_options_are_refused(make_options, changes, message):
    with pytest.raises(ValidationError, match=message):
        make_options(**changes)


def test_every_column_is_read_once(make_options):
    assert make_options(split_by="Shop").used_columns() == ("Review Text", "Age", "Shop", "Liked")
    assert make_options(split_by="Customer").used_columns()[-1] == "Customer"
