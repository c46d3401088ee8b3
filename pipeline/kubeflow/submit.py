"""Brings a compiled pipeline to Kubeflow Pipelines: a version named by its content, and a run or a schedule of it."""

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kfp_server_api as api
import urllib3.exceptions

from pipeline.config import ConfigError
from pipeline.kubeflow.compiler import Compiled
from pipeline.schedule.cron import Cron

TOKEN_VARIABLE = "KFP_TOKEN"
TIMEOUT_SECONDS = 60
PAGE_SIZE = 100


class SubmitError(RuntimeError):
    """Kubeflow Pipelines was not reached, or refused; one sentence, without the token."""


@dataclass(frozen=True)
class Submission:
    """Where a pipeline goes, and when it runs there.

    Raises:
        ConfigError: `host` is no address, or `cron` cannot be read.
    """

    host: str
    experiment: str = "Default"
    namespace: str | None = None
    service_account: str | None = None
    cron: str | None = None
    max_concurrency: int = 1
    token: str = field(default_factory=lambda: os.environ.get(TOKEN_VARIABLE, ""), repr=False)

    def __post_init__(self) -> None:
        if not self.host.startswith(("http://", "https://")):
            raise ConfigError(f"--host takes an address with http:// or https://. Received: {self.host!r}.")
        if self.cron is not None:
            try:
                Cron(self.cron)
            except ValueError as error:
                raise ConfigError(str(error).replace("`schedule.cron`", "--cron")) from None

    @property
    def address(self) -> str:
        return self.host.rstrip("/")


def submit_pipeline(compiled: Compiled, submission: Submission) -> dict[str, Any]:
    """Uploads what is new, then runs it or has it run.

    Returns:
        `verdict` (`submitted` or `scheduled`), `pipeline`, `version`, the ids, and a sentence in `told`.

    Raises:
        SubmitError: Kubeflow Pipelines was not reached, or refused.
    """
    configuration = api.Configuration(host=submission.address)
    if submission.token:
        configuration.api_key["authorization"] = submission.token
        configuration.api_key_prefix["authorization"] = "Bearer"
    with _in_one_sentence(submission), api.ApiClient(configuration) as client:
        experiment = _experiment(client, submission)
        reference = _version(client, compiled, submission)
        common = {
            "display_name": compiled.name,
            "experiment_id": experiment,
            "pipeline_version_reference": reference,
            "runtime_config": api.V2beta1RuntimeConfig(parameters={}),
            "service_account": submission.service_account,
        }
        result = {
            "pipeline": compiled.name,
            "version": compiled.digest,
            "pipeline_id": reference.pipeline_id,
            "version_id": reference.pipeline_version_id,
            "experiment_id": experiment,
        }
        what = f"{compiled.name} version {compiled.digest}"
        if submission.cron is None:
            run_id = _run(client, common)
            told = f"Started {what}: {submission.address}/#/runs/details/{run_id}"
            return {"verdict": "submitted", **result, "run_id": run_id, "told": told}
        recurring = _schedule(client, common, submission)
        told = f"Scheduled {what} at {submission.cron!r}: {submission.address}/#/recurringrun/details/{recurring}"
        return {"verdict": "scheduled", **result, "recurring_run_id": recurring, "told": told}


def _experiment(client: api.ApiClient, submission: Submission) -> str:
    service = api.ExperimentServiceApi(client)
    listed = _asked(service.experiment_service_list_experiments, _named(submission.experiment), submission)
    for experiment in listed.experiments or []:
        return _id(experiment.experiment_id, "experiment")
    wanted = api.V2beta1Experiment(display_name=submission.experiment, namespace=submission.namespace)
    created = service.experiment_service_create_experiment(wanted, _request_timeout=TIMEOUT_SECONDS)
    return _id(created.experiment_id, "experiment")


def _version(client: api.ApiClient, compiled: Compiled, submission: Submission) -> api.V2beta1PipelineVersionReference:
    service = api.PipelineServiceApi(client)
    listed = _asked(service.pipeline_service_list_pipelines, _named(compiled.name), submission)
    for pipeline in listed.pipelines or []:
        pipeline_id = _id(pipeline.pipeline_id, "pipeline")
        break
    else:
        wanted = api.V2beta1Pipeline(display_name=compiled.name, namespace=submission.namespace)
        created = service.pipeline_service_create_pipeline(wanted, _request_timeout=TIMEOUT_SECONDS)
        pipeline_id = _id(created.pipeline_id, "pipeline")
    there = service.pipeline_service_list_pipeline_versions(
        pipeline_id, page_size=PAGE_SIZE, filter=_named(compiled.digest), _request_timeout=TIMEOUT_SECONDS
    )
    for version in there.pipeline_versions or []:
        return api.V2beta1PipelineVersionReference(pipeline_id, _id(version.pipeline_version_id, "version"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        path.write_text(compiled.yaml, encoding="utf-8")
        uploaded = api.PipelineUploadServiceApi(client).upload_pipeline_version(
            str(path), name=compiled.digest, pipelineid=pipeline_id, _request_timeout=TIMEOUT_SECONDS
        )
    return api.V2beta1PipelineVersionReference(pipeline_id, _id(uploaded.pipeline_version_id, "version"))


def _run(client: api.ApiClient, common: dict[str, Any]) -> str:
    run = api.V2beta1Run(**common)
    created = api.RunServiceApi(client).run_service_create_run(run, _request_timeout=TIMEOUT_SECONDS)
    return _id(created.run_id, "run")


def _schedule(client: api.ApiClient, common: dict[str, Any], submission: Submission) -> str:
    """Makes the new schedule, then deletes the earlier ones: a failure leaves two rather than none."""
    service = api.RecurringRunServiceApi(client)
    earlier = _asked(
        service.recurring_run_service_list_recurring_runs,
        _named(common["display_name"]),
        submission,
        experiment_id=common["experiment_id"],
    )
    wanted = api.V2beta1RecurringRun(
        **common,
        trigger=api.V2beta1Trigger(cron_schedule=api.V2beta1CronSchedule(cron=f"0 {submission.cron}")),
        mode=api.RecurringRunMode.ENABLE,
        max_concurrency=str(submission.max_concurrency),
        no_catchup=True,
    )
    created = service.recurring_run_service_create_recurring_run(wanted, _request_timeout=TIMEOUT_SECONDS)
    recurring = _id(created.recurring_run_id, "recurring run")
    for each in earlier.recurring_runs or []:
        service.recurring_run_service_delete_recurring_run(each.recurring_run_id, _request_timeout=TIMEOUT_SECONDS)
    return recurring


def _named(name: str) -> str:
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]})


def _asked(listing: Callable[..., Any], predicate: str, submission: Submission, **more: Any) -> Any:
    """One page of what has a name; with names of our own there is no second."""
    if submission.namespace is not None:
        more["namespace"] = submission.namespace
    return listing(page_size=PAGE_SIZE, filter=predicate, _request_timeout=TIMEOUT_SECONDS, **more)


def _id(received: str | None, what: str) -> str:
    if not received:
        raise SubmitError(f"The answer names no {what}: --host seems to lead to another service, or to a log-in page.")
    return received


@contextlib.contextmanager
def _in_one_sentence(submission: Submission) -> Iterator[None]:
    """Says what went wrong in words of ours, and never the token."""
    place = f"Kubeflow Pipelines at {submission.address}"
    try:
        yield
    except api.ApiException as error:
        if error.status in (401, 403):
            cure = f"put a valid token into {TOKEN_VARIABLE}" if error.status == 401 else "ask for the rights"
            message = f"{place} refuses ({error.status} {error.reason}): {cure}."
        elif error.status == 404:
            message = f"{place} has nothing at this address (404): --host is what stands before /apis/v2beta1/."
        else:
            message = f"{place} answers {error.status} {error.reason}: {_told(error.body)}"
    except urllib3.exceptions.HTTPError as error:
        cause = getattr(error, "reason", None) or error
        message = f"{place} cannot be reached: {cause}. Check --host and the network."
    except ValueError as error:
        message = f"{place} answers with what is no answer of its API: {error}"
    else:
        return
    raise SubmitError(message.replace(submission.token, "***") if submission.token else message)


def _told(body: Any) -> str:
    """The sentence in an answer's body, shortened."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    with contextlib.suppress(ValueError, AttributeError):
        text = json.loads(text).get("message") or text
    return " ".join(text.split())[:300] or "nothing more is said."
