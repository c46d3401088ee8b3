"""The client for asyncio.

    async with AsyncPredictionClient("localhost:8500", "reviews") as client:
        predictions = await client.predict(["I love this dress.", "It fell apart."])

Import it from `deploy.serving.client`.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

import grpc
import grpc.aio

from deploy.serving.client_calls import CHANNEL_OPTIONS, METADATA, PREDICT, STATUS, Calls, batched, states_of
from deploy.serving.client_errors import error_of
from deploy.serving.rows import Prediction, Row, read_embeddings, read_predictions
from deploy.serving.tensors import Array


class AsyncPredictionClient:
    """Asks one model; tasks of one event loop may share it, and it keeps one channel."""

    def __init__(
        self,
        target: str,
        model_name: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout_seconds: float = 10.0,
        retries: int = 3,
        batch_size: int = 64,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        """Connects when first used; made on the event loop that uses it.

        Args:
            target: `host:port` of the gRPC server.
            model_name: As the server knows it.
            version: Ask this version; default: the newest.
            label: Ask the version that this label names, such as `stable`.
            timeout_seconds: Deadline of one call with all its retries.
            retries: How often a call is repeated while the server is UNAVAILABLE; nothing else is repeated.
            batch_size: Rows sent in one call; more rows make more calls.
            credentials: For TLS, from `tls_credentials`; default: none.

        Raises:
            ValueError: Arguments that exclude each other or make no sense.
        """
        self._calls = Calls(model_name, version, label, timeout_seconds, retries, batch_size)
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(target, CHANNEL_OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(target, credentials, CHANNEL_OPTIONS)
        self._predict, self._metadata, self._status = (
            self._channel.unary_unary(
                path,
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=response.FromString,
            )
            for path, response in (PREDICT, METADATA, STATUS)
        )

    async def __aenter__(self) -> "AsyncPredictionClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()

    async def predict(self, rows: Sequence[Row]) -> list[Prediction]:
        """Predicts rows, in their order.

        Args:
            rows: Dicts with a value per input of the model (missing ones may be left out), or plain strings if the
                model reads one text.

        Raises:
            PredictionError: The server did not answer; one class per status.
            ValueError: The rows are not what the model reads.
        """
        return await self._run("serving_default", rows)

    async def explain(self, rows: Sequence[Row]) -> list[Prediction]:
        """Predicts rows and says to which words the model attended.

        Args:
            rows: As for `predict`.

        Raises:
            PredictionError: As for `predict`.
            ValueError: As for `predict`.
        """
        return await self._run("explain", rows)

    async def embed(self, rows: Sequence[Row]) -> Array:
        """Places rows where those of one class are near each other, for a search of nearest neighbours.

        Args:
            rows: As for `predict`.

        Returns:
            float32 `(rows, embedding_dim)` of length 1; a product of two is their cosine.

        Raises:
            PredictionError: As for `predict`, or the model has no signature `embed`: no head of its config learnt
                `similarity`.
            ValueError: As for `predict`.
        """
        return read_embeddings([response async for response in self._responses("embed", rows)])

    async def predict_many(
        self, rows: Iterable[Row], *, in_flight: int = 4, explain: bool = False
    ) -> AsyncIterator[Prediction]:
        """Predicts any number of rows, in their order, with several calls under way at a time.

        Args:
            rows: As for `predict`; read only as far as the calls under way need them.
            in_flight: Calls under way.
            explain: Whether to say to which words the model attended.

        Raises:
            PredictionError: As for `predict`, at the first call that fails.
            ValueError: As for `predict`.
        """
        if in_flight < 1:
            raise ValueError(f"`in_flight` must be positive. Received: {in_flight}")
        ask = self.explain if explain else self.predict
        running: deque[asyncio.Task[list[Prediction]]] = deque()
        try:
            for batch in batched(rows, self._calls.batch_size):
                running.append(asyncio.ensure_future(ask(batch)))
                if len(running) == in_flight:
                    for prediction in await running.popleft():
                        yield prediction
            while running:
                for prediction in await running.popleft():
                    yield prediction
        finally:
            for call in running:
                call.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def inputs(self) -> dict[str, str]:
        """What the model reads: type name (`string`, `float`, …) by input.

        Raises:
            PredictionError: The server does not know the model, or did not answer.
        """
        await self._learn("serving_default")
        return {name: kind.name for name, kind in self._calls.inputs["serving_default"].types.items()}

    async def versions(self) -> dict[int, str]:
        """State of every version that the server knows: START, LOADING, AVAILABLE, UNLOADING or END.

        Raises:
            PredictionError: The server does not know the model, or did not answer.
        """
        return states_of(await self._call(self._status, self._calls.status_request()))

    async def _run(self, signature_name: str, rows: Sequence[Row]) -> list[Prediction]:
        responses = self._responses(signature_name, rows)
        return [each async for response in responses for each in read_predictions(response)]

    async def _responses(self, signature_name: str, rows: Sequence[Row]) -> AsyncIterator[Any]:
        for batch in self._calls.batches(rows):
            await self._learn(signature_name)
            yield await self._call(self._predict, self._calls.predict_request(signature_name, batch))

    async def _learn(self, signature_name: str) -> None:
        """Asks once what a signature reads."""
        if signature_name not in self._calls.inputs:
            self._calls.learn(signature_name, await self._call(self._metadata, self._calls.metadata_request()))

    async def _call(self, method: Callable[..., Any], request: Any) -> Any:
        attempts = self._calls.attempts()
        while True:
            try:
                return await method(request, timeout=attempts.seconds_left)
            except grpc.RpcError as error:
                pause = attempts.pause_after(error)
                if pause is None:
                    raise error_of(error) from error
                await asyncio.sleep(pause)
