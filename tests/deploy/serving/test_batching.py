"""The queue with a model of plain numpy, so that a test decides when a run ends."""

import asyncio
import random
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.serving import batching
from deploy.serving.batching import Batcher
from deploy.serving.batching_config import BatchingParameters
from deploy.serving.metrics import ServingMetrics
from deploy.serving.servable import Servable
from deploy.serving.status import DeadlineExceededError, InvalidArgumentError, ResourceExhaustedError


class Doubling:
    """Doubles `x`; refuses negative ones; waits for `go` before each run."""

    signatures = {}

    def __init__(self):
        self.batches = []
        self.go = threading.Event()
        self.go.set()

    def run(self, feeds, fetches):
        self.go.wait(10)
        (values,) = feeds.values()
        self.batches.append(values.tolist())
        if values.dtype != object and (values < 0).any():
            raise InvalidArgumentError(f"negative: {values.min()}")
        return [values * 2 if name == "double" else values for name in fetches]

    def close(self):
        pass


def texts(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return array


def run(scenario, **parameters):
    """Runs a scenario with a batcher, a model and an `ask` on a loop of their own."""
    settings_ = {"num_batch_threads": 1, "max_batch_size": 4, "max_enqueued_batches": 2} | parameters

    async def main():
        batcher = Batcher(BatchingParameters(**settings_), ServingMetrics())
        model = Doubling()
        servable = Servable("m", 1, "/m/1", model=model)

        def ask(*values, deadline=None, fetches=("double",), of=servable):
            array = values[0] if isinstance(values[0], np.ndarray) else np.array(values, np.float32)
            return asyncio.ensure_future(batcher.run(of, model, {"x": array}, fetches, deadline))

        try:
            return await asyncio.wait_for(scenario(batcher, model, servable, ask), 20)
        finally:
            model.go.set()
            batcher.close()
            assert not batcher._queues

    return asyncio.run(main())


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def test_what_waits_while_a_run_lasts_goes_into_one_batch():
    async def scenario(batcher, model, servable, ask):
        model.go.clear()
        tasks = [ask(1), ask(2), ask(3, 4), ask(5)]
        await settle()
        model.go.set()
        answers = [output[0].tolist() for output in await asyncio.gather(*tasks)]
        assert answers == [[2], [4], [6, 8], [10]]
        assert model.batches == [[1], [2, 3, 4, 5]]
        assert servable.running == 0

    run(scenario)


def test_a_request_waits_for_others_no_longer_than_the_timeout():
    async def scenario(batcher, model, servable, ask):
        started = time.monotonic()
        await asyncio.gather(ask(1), ask(2))
        assert 0.04 < time.monotonic() - started < 1
        assert model.batches == [[1, 2]]

    run(scenario, batch_timeout_micros=50_000)


def test_a_full_batch_does_not_wait():
    async def scenario(batcher, model, servable, ask):
        await asyncio.gather(*[ask(number) for number in range(8)])
        assert model.batches == [[0, 1, 2, 3], [4, 5, 6, 7]]

    run(scenario, batch_timeout_micros=60_000_000)


def test_a_full_queue_refuses_and_takes_again_later():
    async def scenario(batcher, model, servable, ask):
        model.go.clear()
        running = ask(0)
        await settle()
        waiting = [ask(number) for number in range(8)]
        await settle()
        with pytest.raises(ResourceExhaustedError, match="batch scheduling queue .* is full"):
            await ask(9)
        model.go.set()
        await asyncio.gather(running, *waiting)
        assert (await ask(9))[0].tolist() == [18]

    run(scenario)


def test_megabytes_of_text_fill_the_queue_too(monkeypatch):
    monkeypatch.setattr(batching, "MAX_QUEUED_BYTES", 1000)

    async def scenario(batcher, model, servable, ask):
        model.go.clear()
        running = ask(texts(b"a" * 600), fetches=("same",))
        await settle()
        with pytest.raises(ResourceExhaustedError, match="is full"):
            await ask(texts(b"a" * 600), fetches=("same",))
        model.go.set()
        await running
        assert batcher._queued_bytes == 0

    run(scenario)


def test_a_request_larger_than_a_batch_is_refused():
    async def scenario(batcher, model, servable, ask):
        with pytest.raises(InvalidArgumentError, match="Task size 5 is larger than maximum input batch size 4"):
            await ask(1, 2, 3, 4, 5)

    run(scenario)


def test_cancelled_and_late_requests_are_not_run():
    async def scenario(batcher, model, servable, ask):
        model.go.clear()
        running = ask(0)
        await settle()
        cancelled, late, patient = ask(1), ask(2, deadline=time.monotonic() + 0.01), ask(3)
        await settle()
        cancelled.cancel()
        await asyncio.sleep(0.05)
        model.go.set()
        with pytest.raises(DeadlineExceededError, match="while the request waited for its batch"):
            await late
        await asyncio.gather(running, patient)
        assert cancelled.cancelled()
        assert model.batches == [[0], [3]]

    run(scenario)


def test_the_model_is_held_until_its_run_ends_even_if_nobody_waits():
    async def scenario(batcher, model, servable, ask):
        model.go.clear()
        running = ask(0)
        await settle()
        running.cancel()
        await settle()
        assert servable.running == 1
        model.go.set()
        while servable.running:
            await asyncio.sleep(0.01)

    run(scenario)


def test_one_bad_request_fails_alone():
    async def scenario(batcher, model, servable, ask):
        model.go.clear()
        running = ask(0)
        await settle()
        tasks = [ask(1), ask(-2), ask(3), ask(4)]
        await settle()
        model.go.set()
        await running
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [str(one) if isinstance(one, Exception) else one[0].tolist() for one in found] == [
            [2],
            "INVALID_ARGUMENT: negative: -2.0",
            [6],
            [8],
        ]

    run(scenario)


def test_other_types_other_outputs_and_other_versions_never_share_a_batch():
    async def scenario(batcher, model, servable, ask):
        model.go.clear()
        running = ask(0)
        await settle()
        other = Servable("m", 2, "/m/2", model=model)
        tasks = [ask(1), ask(np.array([2])), ask(3, fetches=("same",)), ask(4, of=other)]
        await settle()
        model.go.set()
        await asyncio.gather(running, *tasks)
        assert sorted(model.batches) == [[0], [1], [2], [3], [4]]

    run(scenario)


def test_rows_of_similar_length_go_together_and_no_long_one_starves():
    async def scenario(batcher, model, servable, ask):
        model.go.clear()
        running = ask(texts(b""), fetches=("same",))
        await settle()
        lengths = [100_000, 10, 20_000, 20, 90_000, 30, 110_000]
        tasks = [ask(texts(b"a" * length), fetches=("same",)) for length in lengths]
        await settle()
        model.go.set()
        await asyncio.gather(running, *tasks)
        found = [[len(text) for text in batch] for batch in model.batches]
        assert found == [[0], [100_000, 110_000, 90_000], [10, 20, 30], [20_000]]

    run(scenario)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), threads=st.integers(1, 3), timeout=st.sampled_from([0, 500]))
def test_nobody_ever_gets_the_answer_of_another(seed, threads, timeout):
    generator = random.Random(seed)

    async def scenario(batcher, model, servable, ask):
        async def client(number):
            await asyncio.sleep(generator.random() * 0.01)
            values = [number * 10.0 + row for row in range(generator.randint(1, 4))]
            if generator.random() < 0.1:
                values[-1] = -values[-1] - 1
            task = ask(*values)
            if generator.random() < 0.1:
                await asyncio.sleep(generator.random() * 0.005)
                task.cancel()
            (answer,) = await asyncio.gather(task, return_exceptions=True)
            if isinstance(answer, asyncio.CancelledError):
                assert task.cancelled()
            elif min(values) < 0:
                assert str(answer) == f"INVALID_ARGUMENT: negative: {min(values)}"
            else:
                assert answer[0].tolist() == [2 * value for value in values]

        await asyncio.gather(*[client(number) for number in range(60)])
        while servable.running:
            await asyncio.sleep(0.001)

    run(
        scenario,
        num_batch_threads=threads,
        batch_timeout_micros=timeout,
        max_enqueued_batches=1000,
        allowed_batch_sizes=(2, 4),
    )
