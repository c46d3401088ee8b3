"""The page that asks a server: a row typed in, answered with its attention, by two versions beside each other."""

from typing import Any

from aiohttp import web

from deploy.serving.client import AsyncPredictionClient, Prediction, PredictionError
from deploy.serving.shading import by_feature

MOST_VERSIONS = 2
TIMEOUT_SECONDS = 10.0


class Asking:
    """Answers `GET /ask` with the form and `POST /ask` with the form and what the server says.

    Args:
        server: `host:port` of the gRPC server.
        model_name: as it knows it.
        page: renders a template.
    """

    def __init__(self, server: str, model_name: str, page: Any):
        self._server = server
        self._model_name = model_name
        self._page = page

    async def answer(self, request: web.Request) -> web.Response:
        form = await request.post()
        given = {name: str(value) for name, value in form.items() if name != "version"}
        facts: dict[str, Any] = {"server": self._server, "fields": {}, "versions": [], "given": given, "answers": []}
        try:
            async with self._client() as client:
                states = await client.versions()
                facts["fields"] = await client.inputs()
            facts["versions"] = sorted((each for each, state in states.items() if state == "AVAILABLE"), reverse=True)
            wanted = [each for each in facts["versions"] if str(each) in form.getall("version", [])][:MOST_VERSIONS]
            facts["wanted"] = wanted or facts["versions"][:1]
            if form:
                row = {name: _value(name, kind, given.get(name, "")) for name, kind in facts["fields"].items()}
                facts["answers"] = [await self._ask(version, row) for version in facts["wanted"]]
        except PredictionError as error:
            facts["fault"] = self._told(error)
        except ValueError as error:
            facts["fault"] = str(error)
        return self._page("ask.html", **{"fault": "", "wanted": [], **facts})

    async def states(self) -> tuple[dict[int, str], str]:
        """Version → `AVAILABLE` and so on, as the server says; and why it does not say."""
        try:
            async with self._client() as client:
                return await client.versions(), ""
        except PredictionError as error:
            return {}, self._told(error)

    def _told(self, error: PredictionError) -> str:
        return f"{self._server} did not answer for model {self._model_name}: {error}"

    def _client(self, version: int | None = None) -> AsyncPredictionClient:
        return AsyncPredictionClient(
            self._server, self._model_name, version=version, timeout_seconds=TIMEOUT_SECONDS, retries=0
        )

    async def _ask(self, version: int, row: dict[str, str | float | None]) -> dict[str, Any]:
        async with self._client(version) as client:
            (prediction,) = await client.explain([row])
        return _shown(version, prediction)


def _value(name: str, kind: str, text: str) -> str | float | None:
    if kind == "string":
        return text
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"`{name}` takes a number. Received: {text!r}.") from None


def _shown(version: int, prediction: Prediction) -> dict[str, Any]:
    return {
        "version": version,
        "text": str(prediction),
        "heads": [
            sorted(head.probabilities.items(), key=lambda item: -item[1])[:10]
            for head in prediction.heads.values() or [prediction]
        ],
        "features": by_feature(prediction.words),
    }
