"""What the documents tell a reader to type exists, and what they point to is there."""

import re
import shlex
from pathlib import Path

import click
import pytest

from pipeline.cli import main

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


def commands(pattern):
    """(document, command line) of every such line in the documents' code blocks."""
    found = []
    for name in DOCUMENTS:
        for block in re.findall(r"```(?:\w*)\n(.*?)```", text_of(name), re.DOTALL):
            found += [(name, line.split("  #")[0].strip()) for line in block.splitlines() if re.match(pattern, line)]
    return found


@pytest.mark.parametrize(("document", "line"), commands("attention "))
def test_every_command_line_is_understood(document, line):
    _, name, *arguments = shlex.split(line.replace(" …", ""))
    command = main.commands[name]
    options = {option for each in command.params if isinstance(each, click.Option) for option in each.opts}
    for argument in arguments:
        if argument.startswith("-"):
            assert argument.split("=")[0] in options, f"{document}: {line}"


def test_the_readme_has_command_lines_at_all():
    assert len(commands("attention ")) >= 4


@pytest.mark.parametrize(("document", "line"), commands("make "))
def test_every_make_target_exists(document, line):
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    assert line.split()[1] in targets, document


def benchmark_commands():
    """(document, module, arguments) of every benchmark that a document or a benchmark's own docstring tells of."""
    places = [ROOT / name for name in DOCUMENTS] + sorted((ROOT / "benchmarks").glob("*.py"))
    pattern = r"python -m benchmarks\.(\w+)([^`\n#]*)"
    return [
        (place.name, *found) for place in places for found in re.findall(pattern, place.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize(("document", "module", "arguments"), benchmark_commands())
def test_every_benchmark_is_there_and_has_the_options_that_are_told(document, module, arguments):
    code = (ROOT / "benchmarks" / f"{module}.py").read_text(encoding="utf-8")
    options = set(re.findall(r'add_argument\(\s*"(--\w+)"', code))
    assert set(re.findall(r"--\w+", arguments)) <= options, document


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_point_to_files_that_are_there(document):
    for target in re.findall(r"\]\(([^)#:]+)\)", text_of(document)):
        assert (ROOT / target).exists(), f"{document}: {target}"


def test_python_in_the_readme_is_python():
    blocks = re.findall(r"```python\n(.*?)```", text_of("README.md"), re.DOTALL)
    assert blocks
    for block in blocks:
        compile(block, "README.md", "exec")
