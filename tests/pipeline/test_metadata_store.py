"""Backslashes on their way to PostgreSQL and back; what is said of a server that is not there."""

import socket
from pathlib import Path

import pytest
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline import metadata_store as own
from pipeline.config import ConfigError, MetadataError
from pipeline.config_groups import MetadataConfig
from pipeline.history import connection_config

TEXT = '{"pattern": "\\d+", "name": "naïve \\u00e9"}'


def test_a_backslash_is_stored_as_its_double_and_read_as_itself(tmp_path):
    connection = connection_config(MetadataConfig(), tmp_path / "metadata.sqlite")
    store = own._PostgresStore(connection)
    type_id = store.put_artifact_type(mlmd.ArtifactType(name="Kind", properties={"text": mlmd.STRING}))
    artifact = mlmd.Artifact(type_id=type_id, uri="a\\b", name="c\\d")
    artifact.properties["text"].string_value = TEXT
    artifact.custom_properties["text"].string_value = TEXT
    artifact.custom_properties["number"].int_value = 3
    store.put_artifacts([artifact])

    (read,) = store.get_artifacts_by_uri("a\\b")
    assert (read.uri, read.name) == ("a\\b", "c\\d")
    assert read.properties["text"].string_value == read.custom_properties["text"].string_value == TEXT
    assert read.custom_properties["number"].int_value == 3

    (stored,) = metadata_store.MetadataStore(connection).get_artifacts()
    assert "\\" not in str([stored.uri, stored.name]).replace("\\uf05c", "")
    assert stored.properties["text"].string_value == TEXT.replace("\\", "\uf05c")


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_server_that_is_not_there_is_told_with_its_place(kind, monkeypatch):
    monkeypatch.setenv("METADATA_PASSWORD", "hidden-9z")
    with socket.socket() as bound:  # not listening, so nothing else can be there
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        connection = connection_config(MetadataConfig(type=kind, port=port, user="me"), Path("unused"))
        with pytest.raises(MetadataError, match=rf"\(127\.0\.0\.1:{port}\) cannot be reached: ") as caught:
            own.open_store(connection)
    assert "hidden-9z" not in str(caught.value)


def test_a_password_comes_from_the_environment_only(monkeypatch):
    monkeypatch.delenv("METADATA_PASSWORD", raising=False)
    with pytest.raises(ConfigError, match="environment variable METADATA_PASSWORD, which is not set"):
        connection_config(MetadataConfig(type="mysql", user="me"), Path("unused"))
    monkeypatch.setenv("OTHER", "it's \\ x")
    config = MetadataConfig(type="postgresql", user="me", password_variable="OTHER")
    assert connection_config(config, Path("unused")).postgresql.password == "'it\\'s \\\\ x'"


def test_a_server_needs_a_user():
    with pytest.raises(ConfigError, match=r"`metadata\.type: postgresql` needs `metadata\.user`\."):
        connection_config(MetadataConfig(type="postgresql"), Path("unused"))
