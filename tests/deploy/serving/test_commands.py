import json

import pytest
from click.testing import CliRunner

from deploy.serving.commands import main


@pytest.fixture
def ask(served):
    def run(*arguments, stdin=None, model="reviews"):
        command = ["predict", "--server", served.target, "--model_name", model, *arguments]
        return CliRunner().invoke(main, command, input=stdin)

    return run


def test_texts_as_arguments_give_a_table(ask):
    result = ask("a good dress", "it fell\napart")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines == [
        ["answer", "row"],
        ["yes", "(95.0%)", "a", "good", "dress"],
        ["no", "(55.0%)", "it", "fell", "apart"],
    ]


def test_standard_input_holds_texts_or_json_lines(ask):
    result = ask("--json", "--version_label", "stable", stdin='good\n\n{"review": "bad", "age": 100}\n')
    assert result.exit_code == 0, result.output
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert first["label"] == "yes"
    assert first["probabilities"] == pytest.approx({"no": 0.25, "yes": 0.75})
    assert (first["version"], first["words"]) == (1, [])
    assert second["probabilities"]["yes"] == pytest.approx(0.35)


def test_a_table_may_have_columns_that_the_model_does_not_read(ask, tmp_path):
    table = tmp_path / "rows.csv"
    table.write_text('\ufeffReview,Age,Rating\n"good, really",100,5\nbad,,1\n', encoding="utf-8")
    result = ask("--json", "--version", "1", "--file", str(table))
    assert result.exit_code == 0, result.output
    found = [json.loads(line)["probabilities"]["yes"] for line in result.stdout.splitlines()]
    assert found == pytest.approx([0.85, 0.25])


def test_explain_shades_words_and_out_writes_a_page(ask, tmp_path):
    page = tmp_path / "page.html"
    result = ask("--explain", "--out", str(page), "a good dress")
    assert result.exit_code == 0, result.output
    assert "review: [START] a good dress" in result.stdout
    assert "most attended: " in result.stdout
    assert '">good</span>' in page.read_text()
    assert f"Wrote {page}" in result.stderr


def test_explain_with_json_gives_the_words(ask):
    result = ask("--explain", "--json", "good")
    words = json.loads(result.stdout)["words"]
    assert [word["text"] for word in words] == ["[START]", "good", "age=nan"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "model", "exit_code", "text"),
    [
        (("good",), None, "m", 1, "did not answer for model m: NOT_FOUND: Servable not found for request: Latest(m)"),
        (("good", "--version", "1", "--version_label", "stable"), None, "reviews", 2, "exclude each other"),
        ((), "{no json}", "reviews", 2, "Line 1 begins like a JSON object, but is none"),
        ((), '{"text": "good"}', "reviews", 2, "Row 0 has `text`, but the model reads `age`, `review`"),
        (("--file", "none.txt"), None, "reviews", 2, "does not exist"),
    ],
)
def test_what_goes_wrong_is_said_on_standard_error(ask, arguments, stdin, model, exit_code, text):
    result = ask(*arguments, stdin=stdin, model=model)
    assert result.exit_code == exit_code
    assert result.stdout == ""
    assert text in " ".join(result.stderr.split())


def test_texts_and_a_file_exclude_each_other(ask, tmp_path):
    file = tmp_path / "rows.txt"
    file.write_text("good")
    result = ask("good", "--file", str(file))
    assert (result.exit_code, "not both" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ((), "One of `--model_base_path` and `--model_config_file` is needed."),
        (("--model_base_path", "/m", "--port", "70000"), "`--port` must be between 0 and 65535. Received: 70000"),
        (("--model_base_path", "/m", "--max_num_load_retries", "-1"), "must not be negative"),
        (("--model_base_path", "/m", "--grpc_channel_arguments", "a"), "wants name=value. Received: a"),
    ],
)
def test_flags_that_make_no_server_are_refused(flags, text):
    result = CliRunner().invoke(main, ["serve", *flags])
    assert result.exit_code == 2
    assert text in " ".join(result.stderr.split())


def test_version_is_said_as_the_original_says_it():
    result = CliRunner().invoke(main, ["serve", "--version"])
    assert result.exit_code == 0
    lines = [line.partition(": ") for line in result.output.splitlines()]
    assert [line[0] for line in lines] == ["TensorFlow ModelServer", "TensorFlow Library"]
    assert all(line[2][0].isdigit() for line in lines)


@pytest.mark.parametrize("flag", ["--prefer_tflite_model", "--saved_model_tags=gpu", "--platform_config_file=x"])
def test_flags_that_are_left_out_are_refused_by_name(flag):
    result = CliRunner().invoke(main, ["serve", "--model_base_path", "/m", flag])
    name = flag.partition("=")[0]
    assert result.exit_code == 2
    assert f"`{name}` is left out here: " in result.output
