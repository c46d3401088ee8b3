"""What a person sees of a run: one line per step, live in a terminal, plain in a log; all noise goes to a file."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

PROGRESS_LOGGER = "attention.progress"
MARKS = {
    "ran": "[green]✓[/]",
    "cached": "[cyan]=[/]",
    "skipped": "[dim]-[/]",
    "failed": "[red]✗[/]",
    "blocked": "[red]■[/]",
}


@contextlib.contextmanager
def noise_to(path: Path) -> Iterator[tuple[IO[str], IO[str]]]:
    """Sends everything that is written to standard output and error to a file, below Python as well.

    TensorFlow, Beam and TFX write from C++ and from child processes, so the file descriptors are moved.

    Args:
        path: the log file; appended to.

    Yields:
        Standard output and standard error as they were.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    with (
        open(path, "a", encoding="utf-8", buffering=1) as log,
        open(kept[0], "w", encoding="utf-8", buffering=1, closefd=False) as out,
        open(kept[1], "w", encoding="utf-8", buffering=1, closefd=False) as err,
    ):
        try:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            yield out, err
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            out.flush()
            err.flush()
            for number, descriptor in enumerate(kept, start=1):
                os.dup2(descriptor, number)
                os.close(descriptor)


class RunConsole(logging.Handler):
    """Shows steps as they come; as a handler of the trainer's progress logger it moves the bar."""

    def __init__(self, stream: IO[str]):
        super().__init__(logging.INFO)
        self.console = Console(file=stream, highlight=False, soft_wrap=True)
        self._live: Progress | None = None
        self._task = TaskID(0)
        self._told = -1.0

    def say(self, text: str) -> None:
        """Prints one line; rich markup is read."""
        (self._live.console if self._live else self.console).print(text)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Shows that a step is at work, in a terminal only."""
        self._told = -1.0
        if not self.console.is_terminal:
            yield
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as self._live:
            self._task = self._live.add_task(name, total=None, note="")
            try:
                yield
            finally:
                self._live = None

    def finished(self, name: str, state: str, seconds: float, text: str) -> None:
        """The line that stays of a step."""
        took = f"{seconds:6.1f} s" if state == "ran" else f"{state:>8}"
        self.say(f"{MARKS.get(state, ' ')} {name:<17} [dim]{took}[/]  {escape(text)}")

    def emit(self, record: logging.LogRecord) -> None:
        progress = getattr(record, "progress", None)
        text = record.getMessage()
        if progress is None:
            self.say(f"  [dim]{escape(text)}[/]")
            return
        if self._live is not None:
            total = progress["epochs"] * progress["steps"]
            done = (progress["epoch"] - 1) * progress["steps"] + progress["step"]
            note = ", ".join(filter(None, [progress.get("trial"), text]))
            self._live.update(self._task, total=total, completed=done, note=note)
        elif "trial" in progress:  # in a log each trial has one line, at its end
            return
        elif progress["epoch"] + progress["step"] / progress["steps"] - self._told >= 1 or (
            progress["step"] == progress["steps"] and progress["epoch"] > self._told
        ):
            self._told = progress["epoch"]
            self.console.print(f"    {escape(text)}")
