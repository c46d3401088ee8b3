"""Every move of a label, in ML Metadata: who, when, why, with which numbers."""

import contextlib
import datetime
import getpass
import json
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.history import STATES
from pipeline.metadata_store import open_store

EXECUTION_TYPE = "Release"
CONTEXT_TYPE = "release"


def current_user() -> str:
    """`user@host`; the user's number where it has no name, as in some containers."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"


@dataclass(frozen=True)
class Change:
    """One move of labels.

    Attributes:
        when: its start.
        action: `canary`, `promote` or `rollback`.
        version: the version that it is about.
        state: `done`, `failed`, `running`, or `interrupted` if its process was killed.
        who, why: as given, or as the comparison says.
        before, after: version by label.
        numbers: what was measured, if anything was.
    """

    when: datetime.datetime
    action: str
    version: int
    state: str
    who: str
    why: str
    before: dict[str, int]
    after: dict[str, int]
    numbers: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "when": self.when.isoformat(timespec="milliseconds")}


class ReleaseHistory:
    """The moves of one model's labels."""

    def __init__(self, connection: mlmd.ConnectionConfig, model_name: str):
        self._store = open_store(connection)
        self._model_name = model_name

    def changes(self) -> list[Change]:
        """Newest first."""
        return [_change(execution) for execution in sorted(self._executions(), key=lambda each: -each.id)]

    def rejected(self, version: int) -> Change | None:
        """The rollback that took a version out, if it was not promoted since."""
        about = (each for each in self.changes() if each.version == version and each.action != "canary")
        # A rollback whose process was killed was wanted all the same; a promotion must have come to its end.
        newest = next((each for each in about if each.action == "rollback" or each.state == "done"), None)
        return newest if newest is not None and newest.action == "rollback" else None

    @contextlib.contextmanager
    def record(
        self,
        action: str,
        version: int,
        who: str,
        why: str,
        before: Mapping[str, int],
        after: Mapping[str, int],
        numbers: Mapping[str, Any],
    ) -> Iterator[int]:
        """Writes down a move before it is made, and afterwards how it ended.

        Yields:
            The number of the record.

        Raises:
            StatusError: ML Metadata cannot be written; where that is known before the move, it is not made.
        """
        execution = mlmd.Execution(type_id=self._type_id(), last_known_state=mlmd.Execution.RUNNING)
        texts = {
            "action": action,
            "who": who,
            "why": why,
            "before": json.dumps(dict(before)),
            "after": json.dumps(dict(after)),
            "numbers": json.dumps(dict(numbers)),
        }
        for name, text in texts.items():
            execution.properties[name].string_value = text
        execution.properties["version"].int_value = version
        self.close_interrupted()
        execution_id, _, _ = self._store.put_execution(execution, [], [self._context()])
        execution.id = execution_id
        execution.last_known_state = mlmd.Execution.FAILED
        try:
            yield execution_id
            execution.last_known_state = mlmd.Execution.COMPLETE
        finally:
            self._store.put_executions([execution])

    def link(self, record: int, artifact_id: int) -> None:
        """Says which pushed model a record is about."""
        event = mlmd.Event(execution_id=record, artifact_id=artifact_id, type=mlmd.Event.INPUT)
        event.path.steps.add().key = "pushed_model"
        self._store.put_events([event])

    def _executions(self) -> list[mlmd.Execution]:
        context = self._store.get_context_by_type_and_name(CONTEXT_TYPE, self._model_name)
        return list(self._store.get_executions_by_context(context.id)) if context else []

    def close_interrupted(self) -> None:
        """Marks what a killed command left open. One that only waits for a version says itself how it ends."""
        left = [each for each in self._executions() if STATES.get(each.last_known_state) == "running"]
        for execution in left:
            execution.last_known_state = mlmd.Execution.CANCELED
        if left:
            self._store.put_executions(left)

    def _type_id(self) -> int:
        kind = mlmd.ExecutionType(name=EXECUTION_TYPE)
        for name in ("action", "who", "why", "before", "after", "numbers"):
            kind.properties[name] = mlmd.STRING
        kind.properties["version"] = mlmd.INT
        return self._store.put_execution_type(kind)

    def _context(self) -> mlmd.Context:
        context = self._store.get_context_by_type_and_name(CONTEXT_TYPE, self._model_name)
        if context is not None:
            return context
        type_id = self._store.put_context_type(mlmd.ContextType(name=CONTEXT_TYPE))
        return mlmd.Context(type_id=type_id, name=self._model_name)


def _change(execution: mlmd.Execution) -> Change:
    texts = execution.properties
    state = STATES.get(execution.last_known_state, "running")
    return Change(
        when=datetime.datetime.fromtimestamp(execution.create_time_since_epoch / 1000, datetime.UTC),
        action=texts["action"].string_value,
        version=texts["version"].int_value,
        state="done" if state == "ran" else state,
        who=texts["who"].string_value,
        why=texts["why"].string_value,
        before=json.loads(texts["before"].string_value),
        after=json.loads(texts["after"].string_value),
        numbers=json.loads(texts["numbers"].string_value),
    )
