"""The commands `compile` and `submit`; neither imports TFX or KFP before it has to."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli_options import end, with_config
from pipeline.config import ConfigError, PipelineConfig
from pipeline.workspace import Workspace

if TYPE_CHECKING:
    from pipeline.kubeflow.compiler import Compiled


def _compile_options(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--pipeline-root", metavar="URI", help="gs://, s3:// or minio:// of the artifacts.")(command)
    return click.option("--image", help="That all steps run in; default: `kubeflow.image` of the config.")(command)


@click.command("compile")
@with_config
@click.option("--out", "-o", type=click.Path(path_type=Path), default=Path("pipeline.yaml"), show_default=True)
@click.option("--runner", type=click.Choice(["kubeflow"]), default="kubeflow", show_default=True)
@_compile_options
@click.pass_context
def compile_pipeline(context, config, workspace, out, runner, image, pipeline_root) -> None:
    """Compile the pipeline for Kubeflow Pipelines 2 and check it against what its backend refuses.

    \b
    attention compile reviews.yaml -o pipeline.yaml --image registry.example/attention-pipeline:0.1.0

    --workspace is a path in the containers; default: `kubeflow.workspace` of the config.
    """
    compiled = _compile(context, config, workspace, image, pipeline_root)
    out.write_text(compiled.yaml, encoding="utf-8")
    click.echo(f"Wrote {out}: pipeline {compiled.name}, version {compiled.digest}.", err=True)


@click.command("submit")
@with_config
@click.option("--host", metavar="URL", required=True, help="Of the Kubeflow Pipelines API.")
@click.option("--experiment", default="Default", show_default=True)
@click.option("--namespace", help="Of the experiment, where several teams share a Kubeflow.")
@click.option("--service-account", help="In Kubernetes, of the steps.")
@click.option("--cron", help="Run again and again: five fields as in crontab, in the time zone of Kubeflow.")
@click.option("--max-concurrency", type=click.IntRange(1, 10), default=1, show_default=True, help="With --cron.")
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON on standard output.")
@_compile_options
@click.pass_context
def submit(context, config, workspace, host, as_json, image, pipeline_root, **options) -> None:
    """Upload the pipeline to Kubeflow Pipelines, and run it or have it run by --cron.

    \b
    attention submit reviews.yaml --host https://kubeflow.example/pipeline
    attention submit reviews.yaml --host https://kubeflow.example/pipeline --cron "30 2 * * *"

    A version is named by its content and uploaded once. --cron takes the place of the pipeline's earlier schedule in
    the experiment; what was missed is not caught up with. A token is read from the environment: KFP_TOKEN.
    """
    from pipeline import spans
    from pipeline.kubeflow.submit import Submission, SubmitError, submit_pipeline

    try:
        submission = Submission(host=host, **options)
        if submission.cron is not None and spans.are_in(config):
            raise ConfigError(
                "--cron runs again what is compiled now, and `data.input` names spans: each run would read those of "
                "today. Have `attention submit` itself run by a timer, without --cron."
            )
        compiled = _compile(context, config, workspace, image, pipeline_root)
        result = submit_pipeline(compiled, submission)
    except SubmitError as error:
        raise click.ClickException(str(error)) from None
    print(result.pop("told"), file=sys.stderr)
    end(context, result, as_json, 0)


def _compile(
    context: click.Context, config: PipelineConfig, workspace: Workspace, image: str | None, root: str | None
) -> "Compiled":
    from pipeline.kubeflow.compiler import compile_pipeline as compile_for_kubeflow

    if config.tune is not None:
        click.echo(
            "`tune` is not for Kubeflow: the compiled pipeline trains with the config's own values of `train` and "
            "`model`. `attention run --tune` tells the best ones.",
            err=True,
        )
    in_containers = workspace if context.params["workspace"] else Workspace(Path(config.kubeflow.workspace))
    return compile_for_kubeflow(config, in_containers, image, root)
