"""Sends the same requests to canary and stable, and holds what was measured to the config's limits."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.gates import Gate
from deploy.serving.input_rows import read_rows
from deploy.serving.model_server import Server
from pipeline.config import ConfigError
from pipeline.config_groups import ReleaseConfig

if TYPE_CHECKING:
    from deploy.serving.mirror import Comparison

RECORDED = "recorded"


def check_source(options: ReleaseConfig) -> None:
    """Refuses a file of requests that is not there, before anything is moved.

    Raises:
        ConfigError: there is no such file.
    """
    if options.requests != RECORDED and not Path(options.requests).is_file():
        raise ConfigError(f"`release.requests` is `recorded` or a file that is there. Received: {options.requests}.")


def compare(
    server: Server, model_name: str, options: ReleaseConfig, versions: Iterable[Path], rows: Iterable[Any] | None
) -> "Comparison":
    """Asks both labels.

    Args:
        server: one of them; all hold the same versions.
        model_name: as clients ask for it.
        options: the config's `release`.
        versions: directories whose recorded requests are sent where no rows are given.
        rows: as clients send them; None: what the config says.

    Raises:
        ConfigError: the requests cannot be read.
        PredictionError: the server is gone.
    """
    from deploy.serving.commands import quiet_standard_error

    with quiet_standard_error():
        from deploy.serving import mirror, mirrored_requests

    def requests() -> Iterator[Any]:
        sent = read_rows(Path(options.requests)) if rows is None and options.requests != RECORDED else rows
        if sent is not None:
            yield from mirrored_requests.requests_of_rows(sent, server, model_name, options.timeout_seconds)
        else:
            recorded = [each for version in versions for each in mirrored_requests.recorded_requests(version)]
            yield from itertools.cycle(recorded)

    most_errors = int(options.limits.error_rate * options.max_requests)
    asking = mirror.Mirror(server, model_name, options.timeout_seconds)
    try:
        sent = mirrored_requests.until(requests(), options.max_seconds)
        return asking.compare(sent, options.max_requests, options.share, most_errors)
    except (ValueError, OSError) as error:
        raise ConfigError(f"The requests cannot be used: {error}") from None


def judge(found: "Comparison", options: ReleaseConfig) -> list[Gate]:
    """One gate for each limit; a comparison of too little closes them, too.

    Args:
        found: what was measured.
        options: the config's `release`.
    """
    return [_requests(found, options), _errors(found, options), _flips(found, options), _latency(found, options)]


def _requests(found: "Comparison", options: ReleaseConfig) -> Gate:
    refused = f", {found.refused_by_stable} more were refused by stable itself" if found.refused_by_stable else ""
    enough = found.requests >= options.min_requests
    # A canary that fails is taken back at once, before the rest was sent.
    passed = enough or found.error_rate > options.limits.error_rate
    why = f"{found.requests} requests were compared{refused}; at least {options.min_requests} are wanted."
    return Gate("requests", passed, found.requests, options.min_requests, why)


def _errors(found: "Comparison", options: ReleaseConfig) -> Gate:
    limit = options.limits.error_rate
    first = f"; the first: {found.first_error.rstrip('.')}" if found.first_error else ""
    why = (
        f"Canary failed in {found.canary_errors} of {found.requests} requests that stable answers "
        f"({found.error_rate:.2%}; limit {limit:.2%}){first}."
    )
    return Gate("error_rate", found.error_rate <= limit, found.error_rate, limit, why)


def _flips(found: "Comparison", options: ReleaseConfig) -> Gate:
    limit = options.limits.flip_rate
    some = f", such as {', '.join(found.examples)}" if found.examples else ""
    rate = f"{found.flip_rate:.2%}; limit {limit:.2%}"
    why = f"Canary answers {found.flips} of {found.rows} rows differently ({rate}){some}."
    if not found.rows and found.requests > found.canary_errors:
        why = "No answer of both could be compared: the requests yield neither `label` nor `probabilities`."
        return Gate("flip_rate", False, None, limit, why)
    return Gate("flip_rate", found.flip_rate <= limit, found.flip_rate, limit, why)


def _latency(found: "Comparison", options: ReleaseConfig) -> Gate:
    numbers = found.as_json()
    stable, canary = numbers["stable_p95_ms"], numbers["canary_p95_ms"]
    limits = options.limits
    limit = round(max(stable * limits.latency_ratio, stable + limits.latency_slack_ms), 3)
    why = (
        f"Canary's 95th percentile is {canary:.1f} ms, stable's {stable:.1f} ms (limit {limit:.1f} ms: "
        f"{limits.latency_ratio:g} times stable's, or {limits.latency_slack_ms:g} ms more)."
    )
    return Gate("latency", canary <= limit, canary, limit, why)
