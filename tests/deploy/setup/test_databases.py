"""The servers' script without a server; with them it is run by tests/e2e/test_metadata_servers.py."""

import re
import subprocess
import sys

import pytest

from deploy.setup import databases


def test_the_password_is_never_an_argument(monkeypatch, tmp_path):
    monkeypatch.delenv("METADATA_PASSWORD", raising=False)
    command = [sys.executable, databases.__file__, "mysql", "--data", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "databases: the database's password is taken from METADATA_PASSWORD, which is not set.\n"


def test_a_password_is_quoted_for_sql():
    assert databases.quoted("it's \\ x") == "'it''s \\\\ x'"
    with pytest.raises(databases.DatabaseError, match="a character that cannot be printed"):
        databases.quoted("a\nb")


def test_without_apt_that_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(databases.DatabaseError, match=re.escape("there is no `apt-get` here")):
        databases.fetch("mysql", tmp_path)
