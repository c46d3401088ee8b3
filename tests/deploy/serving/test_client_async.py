import asyncio
import time

import pytest

from deploy.serving import client_errors
from deploy.serving.client import AsyncPredictionClient, PredictionClient
from tests.deploy.serving.test_client import free_port


def run(target, work, model="reviews", **options):
    async def main():
        async with AsyncPredictionClient(target, model, **options) as client:
            return await work(client)

    return asyncio.run(main())


def test_it_answers_as_the_other_client_does(served):
    rows = [{"review": "good", "age": 100}, "bad", {"age": "50"}, {}]

    async def work(client):
        return (
            await client.predict(rows),
            await client.explain(["a goodish dress"]),
            await client.inputs(),
            await client.versions(),
            await client.predict([]),
        )

    with PredictionClient(served.target, "reviews", version=1) as other:
        expected = (
            other.predict(rows),
            other.explain(["a goodish dress"]),
            other.inputs(),
            other.versions(),
            [],
        )
    for found, wanted in zip(run(served.target, work, version=1), expected, strict=True):
        # NaN in a word's text, none in a number: plain equality holds.
        assert found == wanted


def test_many_calls_at_once_each_get_their_own_answer(served):
    async def work(client):
        texts = [f"{'good' if number % 3 else 'bad'} {number}" for number in range(60)]
        answers = await asyncio.gather(*[client.predict([text]) for text in texts])
        return [answer[0].label for answer in answers]

    assert run(served.target, work) == ["yes" if number % 3 else "no" for number in range(60)]


def test_rows_without_end_are_read_no_further_than_needed(served):
    read = []

    def rows():
        for number in range(1000):
            read.append(number)
            yield "good" if number % 2 else "bad"

    async def work(client):
        found = []
        async for prediction in client.predict_many(rows(), in_flight=2):
            found.append(prediction.label)
            if len(found) == 7:
                break
        return found

    assert run(served.target, work, batch_size=3) == ["no", "yes"] * 3 + ["no"]
    assert len(read) < 30


def test_the_batching_helper_keeps_the_order_of_all_rows(served):
    rows = ["good" if number % 5 else "bad" for number in range(50)]
    expected = ["yes" if number % 5 else "no" for number in range(50)]

    async def work(client):
        return [prediction.label async for prediction in client.predict_many(iter(rows))]

    assert run(served.target, work, batch_size=4) == expected
    with PredictionClient(served.target, "reviews", batch_size=4) as client:
        found = list(client.predict_many(iter(rows), explain=True))
    assert [prediction.label for prediction in found] == expected
    assert all(prediction.words for prediction in found)


def test_the_first_call_that_fails_ends_the_batching_helper(served):
    rows = ["good"] * 8 + [{"text": "?"}] + ["good"] * 100
    with PredictionClient(served.target, "reviews", batch_size=2) as client:
        found = []
        with pytest.raises(ValueError, match="Row 0 has `text`"):
            found.extend(client.predict_many(rows))
        with pytest.raises(ValueError, match="`in_flight` must be positive"):
            next(client.predict_many(rows, in_flight=0))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"model": "m"}, client_errors.NoSuchModelError),
        ({"label": "X"}, client_errors.InvalidRequestError),
    ],
)
def test_every_status_has_its_exception(served, options, error):
    with pytest.raises(error, match="Servable not found|Unrecognized servable version label"):
        run(served.target, lambda client: client.predict(["good"]), **options)


def test_a_server_that_is_not_there_is_retried_and_then_reported():
    started = time.monotonic()
    with pytest.raises(client_errors.UnreachableError, match="UNAVAILABLE"):
        run(f"127.0.0.1:{free_port()}", lambda client: client.predict(["good"]), model="m", retries=2)
    assert 0.05 < time.monotonic() - started < 5.0


def test_a_cancelled_call_is_cancelled(served):
    async def work(client):
        await client.inputs()
        task = asyncio.ensure_future(client.predict(["good"]))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        return (await client.predict(["good"]))[0].label

    assert run(served.target, work) == "yes"
