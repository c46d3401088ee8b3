"""The command `ui`."""

from typing import Any

import click

from pipeline.cli_options import with_config

HOST = "127.0.0.1"


@click.command()
@with_config
@click.option("--port", default=8510, show_default=True, help="On 127.0.0.1; 0: any free port.")
@click.option("--server", default="127.0.0.1:8500", show_default=True, help="gRPC server that typed rows are sent to.")
def ui(config: Any, workspace: Any, port: int, server: str) -> None:
    """Show the runs in a browser: verdicts, what is live, a metric over time, reports, gates, quarantine. Read-only.

    A row that is typed in is answered by the server with its attention, by two versions beside each other if you like.

    \b
    attention ui reviews.yaml          then open http://127.0.0.1:8510

    Only this machine can reach it. Ctrl-C ends it.
    """
    from aiohttp import web

    from pipeline.release import labelled_versions
    from pipeline.ui.app import make_app
    from pipeline.views import open_history

    history = open_history(config, workspace)
    app = make_app(history, config.name, workspace, server, lambda: labelled_versions(config, workspace))
    try:
        web.run_app(app, host=HOST, port=port, access_log=None)
    except OSError as error:
        raise click.ClickException(f"Port {port} cannot be used: {error.strerror}. Choose another --port.") from None
