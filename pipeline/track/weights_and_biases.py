"""Copies the record of a run to Weights & Biases."""

import os
from pathlib import Path

from pipeline.report.facts import RunReport
from pipeline.track.options import WandbOptions
from pipeline.track.record import NotTrackedError, curve, parameters, results, tags

KEY_VARIABLE = "WANDB_API_KEY"


def track(options: WandbOptions, report: RunReport, page: Path, directory: Path) -> str:
    """Sends the record, or only keeps it where `options.mode` is offline.

    Args:
        options: where to.
        report: the record; its config is told with the values that a search gave.
        page: `report.html`, a file of the tracked run.
        directory: gets a folder `wandb`.

    Returns:
        Where the tracked run is: an address, or its folder.

    Raises:
        NotTrackedError: the key is not set.
        wandb.Error: the server is away or does not take it.
    """
    import wandb

    if options.mode == "online" and not os.environ.get(KEY_VARIABLE):
        raise NotTrackedError(f"the environment variable {KEY_VARIABLE} is not set")
    settings = wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        save_code=False,
        init_timeout=options.timeout_seconds,
        x_disable_stats=True,
        x_disable_meta=True,
        **({"base_url": options.base_url} if options.base_url else {}),
    )
    try:
        run = wandb.init(
            project=options.project,
            entity=options.entity,
            mode=options.mode,
            dir=directory,
            id=report.run,
            name=report.run,
            group=report.pipeline,
            job_type=report.verdict,
            tags=tags(report),
            notes=report.why,
            config=parameters(report),
            settings=settings,
        )
        try:
            for epoch, logs in curve(report):
                run.log(logs, step=epoch)
            run.summary.update(results(report))
            run.save(str(page), base_path=str(page.parent), policy="now")
            return run.url or str(Path(run.dir).parent)
        finally:
            run.finish(exit_code=int(report.verdict == "failed"))
    finally:
        wandb.teardown()  # else its service stays until this process ends
