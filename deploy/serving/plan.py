"""A call that has been read and checked, and only waits for its graph."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.serving.session import Runner
from deploy.serving.tensors import Array

_OF_ONE_HEAD = ("classify_", "regress_")


def of_head(signature_name: str, alias: str) -> str:
    """Name of an output with its head before it, also where the signature says that and not the output.

    >>> of_head("classify_stars", "scores"), of_head("classify", "scores"), of_head("explain", "stars_label")
    ('stars_scores', 'scores', 'stars_label')
    """
    for start in _OF_ONE_HEAD:
        if signature_name.startswith(start):
            return f"{signature_name.removeprefix(start)}_{alias}"
    return alias


@dataclass(frozen=True)
class Plan:
    """What to feed, what to fetch, and how the fetched tensors become the response.

    Between the two halves there may be a batch of other clients' rows, or nothing at all.
    """

    feeds: Mapping[str, Array]
    """By tensor name."""
    fetches: Sequence[str]
    """Tensor names."""
    respond: Callable[[Sequence[Array]], Any]
    """Makes the response of the fetched tensors, in order; raises ServingError if they do not fit the call."""
    aliases: Sequence[str] = ()
    """Names of the fetched tensors in the signature, in order, with their head before them: see `of_head`."""

    def run(self, runner: Runner) -> Any:
        """The response, from a runner that is asked for nothing else.

        Raises:
            ServingError: The graph refused the inputs, or its outputs do not fit the call.
        """
        return self.respond(runner.run(self.feeds, self.fetches))

    def then(self, convert: Callable[[Any], Any]) -> "Plan":
        """The same with the response converted."""
        return Plan(self.feeds, self.fetches, lambda outputs: convert(self.respond(outputs)), self.aliases)
