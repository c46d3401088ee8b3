import io

from components.example_gen.readers.json_lines import json_keys, read_json_lines


def read(content):
    (batch,) = read_json_lines(io.StringIO(content), ("text", "n"))
    return {name: values.to_pylist() for name, values in batch.columns.items()}, batch


def test_values_become_text_as_json_spells_it():
    columns, batch = read(
        '{"text": "a\\nb", "n": 1}\n\n{"text": true, "n": 2.0}\n{"n": NaN}\n{"text": 1.5, "n": null}\n'
    )
    assert columns == {"text": ["a\nb", "true", None, "1.5"], "n": ["1", "2", "NaN", None]}
    assert batch.rows.tolist() == [1, 2, 3, 4]
    assert batch.lines.tolist() == [1, 3, 4, 5]


def test_lines_that_are_no_object_or_hold_no_single_value_are_refused():
    deep = "[" * 100_000
    columns, batch = read(f'{{"text": "a"}}\n{{"text":\n[1]\n{{"text": ["a"]}}\n{{"text": "\\ud800"}}\n{deep}\n')
    assert columns["text"] == ["a"]
    assert [(bad.row, bad.line, bad.reason) for bad in batch.bad] == [
        (2, 2, "invalid_json"),
        (3, 3, "invalid_json"),
        (4, 4, "not_a_single_value"),
        (6, 6, "invalid_json"),
        (5, 5, "undecodable"),
    ]
    assert batch.bad[2].detail == {"column": "text", "received": '["a"]'}


def test_keys_are_gathered_over_rows():
    assert json_keys(io.StringIO('{"a": 1}\nbroken\n{"b": 1, "a": 2}\n{"c": 1}\n'), 3) == ["a", "b"]
