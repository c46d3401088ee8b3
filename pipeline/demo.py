"""`attention demo`: the whole job on real reviews, then a few questions to the served model."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from pipeline.config import PipelineConfig
from pipeline.runs import run_and_tell
from pipeline.workspace import Workspace

UNSEEN: tuple[dict[str, str | float], ...] = (
    {
        "title": "Perfect for spring",
        "review_text": "I love this dress! The fabric is soft, it fits true to size and I get compliments every time.",
        "age": 41.0,
        "class_name": "Dresses",
        "department_name": "Dresses",
    },
    {
        "title": "Sad to send it back",
        "review_text": "Such a pretty colour online, but it is shapeless on me, and the seams came apart. Returned.",
        "age": 35.0,
        "class_name": "Blouses",
        "department_name": "Tops",
    },
    {
        "review_text": "The cut is lovely, though the wool is itchy and see-through. I would not buy it at this price.",
        "age": 58.0,
        "class_name": "Sweaters",
        "department_name": "Tops",
    },
    {"title": "Wow!", "review_text": "So comfortable 😍 bought it in three colours.", "age": 29.0},
)


def demonstrate(config: PipelineConfig, workspace: Workspace) -> str:
    """Runs, serves, asks, stops.

    Args:
        config: of the reviews preset; its features are those of the questions above.
        workspace: where.

    Returns:
        The run's verdict.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    result = run_and_tell(config, workspace)
    seconds = ", ".join(f"{step} {spent:.0f}" for step, spent in result["seconds"].items())
    console.print(f"[dim]seconds by step: {seconds}[/]")
    base_path = workspace.serving(config.name)
    if result["verdict"] not in ("pushed", "unchanged") or not base_path.exists():
        return result["verdict"]
    ask(config.name, base_path, console)
    console.print(
        f"\nEverything of this run lies in {workspace.root}:\n"
        f"  {base_path}/{result['version']}  the served model\n"
        f"  {workspace.quarantine}  rows that were not used, each with its reason\n"
        f"  {workspace.metadata}  what ran on what: `attention runs reviews`, `attention lineage "
        f"{result['version']} reviews`\n"
        f"Serve it yourself: attention serve reviews    and ask: attention predict --model_name {config.name} "
        "--explain --file rows.jsonl"
    )
    return result["verdict"]


def ask(name: str, base_path: Path, console: Console) -> None:
    """Starts a server of its own, asks the unseen reviews over gRPC, prints the answers, stops the server."""
    from deploy.serving.client import PredictionClient
    from deploy.serving.launch import ServerProcess
    from deploy.serving.shading import most_attended, shaded

    console.print("\nStarting the server …")
    with ServerProcess(name, base_path) as server, PredictionClient(server.target, name) as client:
        console.print(f"Asked over gRPC at {server.target}; the stronger the shade, the more attention:\n")
        for answer in client.explain(UNSEEN):
            console.print(Text(str(answer), style="bold"))
            console.print(shaded(answer))
            console.print(Text(f"{most_attended(answer)}\n", style="dim"))
    console.print("The server is stopped.")
