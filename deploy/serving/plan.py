"""A call that has been read and checked, and only waits for its graph."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.serving.session import Runner
from deploy.serving.tensors import Array


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
    """Names of the fetched tensors in the signature, in order; none where several signatures are asked at once."""

    def run(self, runner: Runner) -> Any:
        """The response, from a runner that is asked for nothing else.

        Raises:
            ServingError: The graph refused the inputs, or its outputs do not fit the call.
        """
        return self.respond(runner.run(self.feeds, self.fetches))

    def then(self, convert: Callable[[Any], Any]) -> "Plan":
        """The same with the response converted."""
        return Plan(self.feeds, self.fetches, lambda outputs: convert(self.respond(outputs)), self.aliases)
