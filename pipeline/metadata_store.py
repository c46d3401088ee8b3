"""Connects to ML Metadata, on a file or on a database server, and says in one sentence what is wrong with one."""

import random
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.config import MetadataError

# ML Metadata cannot write a backslash to PostgreSQL: libpq turns such a literal from '…' into E'…', and the first and
# the last character are taken for the quotes. So there it is stored as its double in the private use area.
BACKSLASH, STORED_BACKSLASH = "\\", "\uf05c"
CONNECT_TIMEOUT_SECONDS = 10
CONNECT_ATTEMPTS = 10
NO_CONNECTION = ("connection pointer is NULL", "mysql_real_connect failed", "Access denied")


def open_store(connection: mlmd.ConnectionConfig) -> metadata_store.MetadataStore:
    """Connects, and makes the tables where there are none.

    Raises:
        MetadataError: no server at this place, or it refuses.
    """
    kind = connection.WhichOneof("config")
    if kind == "sqlite":
        return metadata_store.MetadataStore(connection)
    store = _PostgresStore if kind == "postgresql" else _ServerStore
    for _ in range(CONNECT_ATTEMPTS):
        try:
            return store(connection)
        except RuntimeError as error:
            why = f"cannot be used: {(str(error).strip() or type(error).__name__).splitlines()[0]}"
        if any(sign in why for sign in NO_CONNECTION):  # which is all that ML Metadata says of it
            why = _reason(getattr(connection, kind))
            break
        time.sleep(random.random())  # someone else may be making the tables just now
    raise MetadataError(f"The {'PostgreSQL' if kind == 'postgresql' else 'MySQL'} server of `metadata` {why}")


def _reason(server: mlmd.PostgreSQLDatabaseConfig | mlmd.MySQLDatabaseConfig) -> str:
    place = f"({server.host}:{server.port})"
    try:
        socket.create_connection((server.host, int(server.port)), CONNECT_TIMEOUT_SECONDS).close()
    except OSError as error:
        return f"{place} cannot be reached: {error.strerror or error}."
    database = server.dbname if isinstance(server, mlmd.PostgreSQLDatabaseConfig) else server.database
    return (
        f"{place} does not let the user {server.user!r} into the database {database!r}: check `metadata.user`, "
        "`metadata.database` and the password."
    )


class _ServerStore(metadata_store.MetadataStore):
    """Answers in the order of the question, as TFX's cache takes for granted: servers give rows in any order."""

    def get_artifacts_by_id(self, artifact_ids: Iterable[int], **options: Any) -> Any:
        ids = list(artifact_ids)
        found = super().get_artifacts_by_id(ids, **options)
        if not isinstance(found, list):  # with the types, which nobody here asks for
            return found
        return sorted(found, key=lambda artifact: ids.index(artifact.id))

    def get_artifact_types_by_id(self, type_ids: Iterable[int], **options: Any) -> list[mlmd.ArtifactType]:
        ids = list(type_ids)
        found = {each.id: each for each in super().get_artifact_types_by_id(ids, **options)}
        return [found[type_id] for type_id in ids if type_id in found]


class _PostgresStore(_ServerStore):
    def _call(self, method_name: str, request: Message, response: Message, extra_options: Any = None) -> None:
        _replace(request, lambda text: text.replace(BACKSLASH, STORED_BACKSLASH))
        super()._call(method_name, request, response, extra_options)
        _replace(response, lambda text: text.replace(STORED_BACKSLASH, BACKSLASH))


def _replace(message: Message, change: Callable[[str], str]) -> None:
    """Changes every text in a message, in place; names of properties (keys of maps) are identifiers and stay."""
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING:
            if field.is_repeated:
                value[:] = [change(each) for each in value]
            else:
                setattr(message, field.name, change(value))
        elif field.message_type is not None:
            if not field.is_repeated:
                _replace(value, change)
            elif not field.message_type.GetOptions().map_entry:
                for each in value:
                    _replace(each, change)
            elif field.message_type.fields_by_name["value"].message_type is not None:
                for each in value.values():
                    _replace(each, change)
