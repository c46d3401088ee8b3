"""Gathers rows of many requests into one run of the graph, and gives each request its own rows back.

Everything but the run itself happens on the event loop, which is why there are no locks. Rows of one batch are padded
to its longest inside the graph, which is why requests of similar length go together.
"""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from deploy.serving.batch_tensors import batch_rows, merge, row_bytes, split
from deploy.serving.batching_config import BatchingParameters
from deploy.serving.metrics import ServingMetrics
from deploy.serving.servable import Servable
from deploy.serving.session import Runner
from deploy.serving.status import (
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    ResourceExhaustedError,
    ServingError,
)
from deploy.serving.tensors import Array

MAX_QUEUED_BYTES = 1 << 30
"""Of all queues together; beside the bound on rows, because a row may be a text of megabytes."""

SIMILAR_LENGTH_RATIO = 4.0
"""How many times longer than its shortest row the longest row of a batch may be."""

SHORT_ROW_BYTES = 256
"""Rows up to this length count as equally long: padding them costs less than a run of their own."""


@dataclass(eq=False)
class _Task:
    feeds: Mapping[str, Array]
    rows: int
    row_bytes: int
    deadline: float | None
    enqueued: float
    answer: asyncio.Future[list[Array]]
    length: float = field(init=False)

    def __post_init__(self) -> None:
        self.length = math.log(max(self.row_bytes, SHORT_ROW_BYTES))


@dataclass(eq=False)
class _Queue:
    """Requests for the same outputs of the same inputs of one version."""

    servable: Servable
    model: Runner
    fetches: tuple[str, ...]
    tasks: dict[_Task, None] = field(default_factory=dict)
    """In the order of their coming; a dict, because thousands may wait and any of them may leave."""
    rows: int = 0
    timer: asyncio.TimerHandle | None = None

    @property
    def oldest(self) -> _Task:
        return next(iter(self.tasks))

    def add(self, task: _Task) -> None:
        self.tasks[task] = None
        self.rows += task.rows

    def remove(self, task: _Task) -> None:
        if task in self.tasks:
            del self.tasks[task]
            self.rows -= task.rows

    def take(self, max_rows: int) -> list[_Task]:
        """Takes a batch: the request that waited longest, and those nearest to it in length."""
        first = self.oldest
        batch, rows = [first], first.rows
        shortest = longest = first.length
        for task in sorted(self.tasks, key=lambda task: abs(task.length - first.length)):
            spread = max(longest, task.length) - min(shortest, task.length)
            if spread > math.log(SIMILAR_LENGTH_RATIO) or rows == max_rows:
                break
            if task is not first and rows + task.rows <= max_rows:
                batch.append(task)
                rows += task.rows
                shortest, longest = min(shortest, task.length), max(longest, task.length)
        for task in batch:
            self.remove(task)
        return batch


class Batcher:
    """Runs plans in batches, each at most once, and answers each with its own rows."""

    def __init__(self, parameters: BatchingParameters, metrics: ServingMetrics) -> None:
        """Starts with nothing to do.

        Args:
            parameters: Sizes and times.
            metrics: Is told of every batch.
        """
        self._parameters = parameters
        self._metrics = metrics
        self._pool = ThreadPoolExecutor(parameters.num_batch_threads, thread_name_prefix="batch")
        self._free_threads = parameters.num_batch_threads
        self._timeout = parameters.batch_timeout_micros / 1e6
        self._queues: dict[tuple[object, ...], _Queue] = {}
        self._queued_bytes = 0

    async def run(
        self,
        servable: Servable,
        model: Runner,
        feeds: Mapping[str, Array],
        fetches: Sequence[str],
        deadline: float | None = None,
    ) -> list[Array]:
        """Runs the graph for one request; cancelling this takes the request out of the queue.

        Args:
            servable: The version; the caller holds it.
            model: What the version runs on.
            feeds: Arrays `(rows, …)` by tensor name.
            fetches: Names of tensors `(rows, …)`.
            deadline: `time.monotonic()` after which nobody waits for the answer; it is not run then.

        Returns:
            One array `(rows, …)` per name.

        Raises:
            InvalidArgumentError: The tensors have no rows in common, or more than a batch may have.
            ResourceExhaustedError: Too much is waiting already.
            ServingError: What the graph said of these inputs, or that the deadline passed.
        """
        rows = batch_rows(feeds)
        limit = self._parameters.max_batch_size
        if rows > limit:
            raise InvalidArgumentError(f"Task size {rows} is larger than maximum input batch size {limit}")
        loop = asyncio.get_running_loop()
        task = _Task(feeds, rows, row_bytes(feeds, rows), deadline, time.monotonic(), loop.create_future())
        types = tuple(sorted((name, array.dtype.str) for name, array in feeds.items()))
        key = (servable, types, tuple(fetches))
        queue = self._queues.get(key) or self._queues.setdefault(key, _Queue(servable, model, tuple(fetches)))
        task_bytes = rows * task.row_bytes
        if (
            queue.rows + rows > limit * self._parameters.max_enqueued_batches
            or self._queued_bytes + task_bytes > MAX_QUEUED_BYTES
        ):
            raise ResourceExhaustedError("The batch scheduling queue to which this task was submitted is full")
        queue.add(task)
        self._queued_bytes += task_bytes
        try:
            self._dispatch()
            return await task.answer
        finally:
            self._queued_bytes -= task_bytes
            queue.remove(task)
            if not queue.tasks and self._queues.get(key) is queue:
                del self._queues[key]

    def close(self) -> None:
        """Waits for what is running; nothing may be waiting."""
        self._pool.shutdown(wait=True)

    def _dispatch(self) -> None:
        """Gives work to free threads, the longest waiting first, and sets clocks for what may wait a little more."""
        if not self._free_threads:
            return  # the end of a run comes back here
        now = time.monotonic()
        for queue in self._queues.values():
            self._drop_expired(queue, now)
        while self._free_threads:
            ready = [queue for queue in self._queues.values() if queue.tasks and self._is_ready(queue, now)]
            if not ready:
                break
            self._start(min(ready, key=lambda queue: queue.oldest.enqueued), now)
        for queue in self._queues.values():
            if queue.tasks and queue.timer is None and not self._is_ready(queue, now):
                wait = queue.oldest.enqueued + self._timeout - now
                queue.timer = asyncio.get_running_loop().call_later(wait, self._timed_out, queue)

    def _is_ready(self, queue: _Queue, now: float) -> bool:
        return queue.oldest.enqueued + self._timeout <= now or queue.rows >= self._parameters.max_batch_size

    def _timed_out(self, queue: _Queue) -> None:
        queue.timer = None
        self._dispatch()

    @staticmethod
    def _drop_expired(queue: _Queue, now: float) -> None:
        """Leaves out what nobody waits for any more."""
        for task in list(queue.tasks):
            if not task.answer.done() and task.deadline is not None and task.deadline < now:
                task.answer.set_exception(
                    DeadlineExceededError("The deadline passed while the request waited for its batch.")
                )
            if task.answer.done():
                queue.remove(task)

    def _start(self, queue: _Queue, now: float) -> None:
        tasks = queue.take(self._parameters.max_batch_size)
        for task in tasks:
            self._metrics.record_queuing(self._parameters.thread_pool_name, now - task.enqueued)
        loop = asyncio.get_running_loop()
        # The run outlives callers that give up, and the model must outlive the run.
        queue.servable.hold()
        self._free_threads -= 1
        running = self._pool.submit(_run, queue.model, [task.feeds for task in tasks], queue.fetches, self._parameters)

        def finished(done: Future[list[list[Array] | ServingError]]) -> None:
            queue.servable.release()
            loop.call_soon_threadsafe(self._finish, tasks, done)

        running.add_done_callback(finished)
        self._metrics.record_batch(queue.servable.model_name, queue.servable.version, sum(t.rows for t in tasks))

    def _finish(self, tasks: Sequence[_Task], done: Future[list[list[Array] | ServingError]]) -> None:
        self._free_threads += 1
        failure = done.exception()
        answers = [InternalError(repr(failure)) for _ in tasks] if failure is not None else done.result()
        for task, answer in zip(tasks, answers, strict=True):
            if task.answer.done():
                continue  # its caller gave up
            if isinstance(answer, ServingError):
                task.answer.set_exception(answer)
            else:
                task.answer.set_result(answer)
        self._dispatch()


def _run(
    model: Runner, tasks: Sequence[Mapping[str, Array]], fetches: Sequence[str], parameters: BatchingParameters
) -> list[list[Array] | ServingError]:
    """Runs a batch in this thread; if the graph refuses it, its halves, until only the guilty are refused."""
    try:
        batch = merge(tasks, parameters.allowed_batch_sizes, parameters.pad_variable_length_inputs)
    except ServingError as error:
        return [type(error)(error.message) for _ in tasks]
    try:
        outputs = model.run(batch, fetches)
    except ServingError as error:
        if len(tasks) == 1:
            return [error]
        half = len(tasks) // 2
        return [*_run(model, tasks[:half], fetches, parameters), *_run(model, tasks[half:], fetches, parameters)]
    try:
        return list(split(outputs, [batch_rows(task) for task in tasks], batch_rows(batch)))
    except ServingError as error:
        return [type(error)(error.message) for _ in tasks]
