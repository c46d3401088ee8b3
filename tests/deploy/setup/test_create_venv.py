"""The set-up's decisions; that it works as a whole is shown by every run of these tests from a clean checkout."""

import subprocess
import sys

import pytest

from deploy.setup import create_venv

DEB822 = """\
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/own.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""


@pytest.fixture
def etc(tmp_path):
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def test_the_systems_own_mirror_and_key_are_kept_for_the_next_release(etc):
    (etc / "sources.list.d" / "debian.sources").write_text(DEB822)
    name, text = create_venv.apt_source("bookworm", "trixie", etc)
    assert name == "own.sources"
    assert text.splitlines() == [
        "Types: deb",
        "URIs: http://mirror.example/debian",
        "Suites: trixie",
        "Components: main",
        "Signed-By: /usr/share/keyrings/own.gpg",
    ]


def test_the_one_line_format_is_read_as_well(etc):
    (etc / "sources.list").write_text(
        "# deb http://old.example/ubuntu jammy main\n"
        "deb http://mirror.example/ubuntu jammy-security main\n"
        "deb [signed-by=/etc/own.gpg] http://mirror.example/ubuntu jammy main universe\n"
    )
    assert create_venv.apt_source("jammy", "noble", etc) == (
        "own.list",
        "deb [signed-by=/etc/own.gpg] http://mirror.example/ubuntu noble main\n",
    )


def test_no_source_of_the_release_names_the_way_out(etc):
    with pytest.raises(create_venv.SetupError, match="no apt source of bookworm .* container image"):
        create_venv.apt_source("bookworm", "trixie", etc)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("sys.version_info", (3, 10, 2)), "Python 3.11, 3.12 or 3.13 is needed"),
        (("platform.system", lambda: "Darwin"), "wheels for Linux on x86-64 only. Received: Darwin"),
        (("platform.machine", lambda: "aarch64"), "Received: Linux aarch64"),
        (("platform.libc_ver", lambda: ("", "")), "needs a Linux with glibc"),
    ],
)
def test_elsewhere_one_sentence_names_the_way_out(monkeypatch, change, message):
    target, value = change
    monkeypatch.setattr(target, value)
    with pytest.raises(create_venv.SetupError, match=message):
        create_venv.check_platform()


def test_a_whole_environment_is_left_alone(tmp_path):
    venv = tmp_path / "venv"
    venv.mkdir()
    (venv / ".complete").write_text(create_venv.fingerprint())
    done = subprocess.run(
        [sys.executable, create_venv.__file__, "--venv", venv], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path.name for path in venv.iterdir()] == [".complete"]
