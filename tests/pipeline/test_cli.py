"""The command's own manners: help, exit codes, one sentence for a wrong use."""

import json

import pytest
from click.testing import CliRunner

from pipeline.cli import main


@pytest.fixture
def attention():
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_explains_itself(attention, command):
    done = attention(command, "--help")
    assert done.exit_code == 0
    assert len(done.output.splitlines()) > 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "Name a config file or a preset (reviews, reviews_bert), or a table: --data FILE --label COLUMN."),
        (["run", "none.yaml"], "writes one; presets are reviews, reviews_bert."),
        (["run", "--data", "a.csv"], "--data needs --label COLUMN"),
        (["run", "reviews", "--data", "a.csv", "--label", "b"], "Give a config file or --data, not both"),
        (["run", "reviews", "--set", "train.epochs=none"], "`train.epochs`: Input should be a valid integer"),
        (["runs", "reviews", "--workspace", "/nonexistent"], "Nothing ran yet in /nonexistent."),
        (["run", "reviews", "-w", "s3://bucket/w"], "--workspace must be a folder of this machine"),
        (["runs", "reviews", "-w", "gs://bucket/w"], "Tables may lie in gs://. Received: gs://bucket/w."),
        (["release", "reviews"], "Releases want `push.label: canary` in the config"),
        (["rollback", "reviews", "--set", "push.label=canary", "-w", "/nonexistent"], "Nothing was released yet"),
        (["releases", "reviews", "-w", "/nonexistent"], "Nothing ran yet in /nonexistent."),
        (["release", "reviews", "--set", "push.label=canary", "--requests", "no"], "--requests: there is no file no."),
        (["run", "reviews", "--overrule", "leak/age"], "takes GATE=REASON, and the reason is kept for ever."),
        (["gate", "/nonexistent", "reviews", "--data", "a.csv"], "There is no exported model in /nonexistent"),
        (["serve"], "model_base_path"),
        (["serve", "none.yaml"], "There is no config file none.yaml."),
        (["frobnicate"], "No such command 'frobnicate'"),
    ],
)
def test_a_wrong_use_ends_with_2_and_one_message(attention, arguments, message):
    done = attention(*arguments)
    assert done.exit_code == 2, done.output
    assert message in done.output
    assert "Traceback" not in done.output


def test_the_schema_for_editors_is_json(attention):
    assert json.loads(attention("config-schema").output)["title"] == "PipelineConfig"


def test_doctor_says_what_the_machine_has(attention):
    done = attention("doctor", "--json")
    names = {finding["name"] for finding in json.loads(done.output)}
    assert {"python", "glibc", "memory", "disk", "gpu", "tfx", "tensorflow", "keras"} <= names
