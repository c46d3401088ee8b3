import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deploy.serving.running_server import RunningServer
from tests.deploy.serving.saved_models import export_numbers, export_reviews


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SavedModels to copy from: `reviews`, `reviews_biased` (0.2 more for yes), `numbers`."""
    root = tmp_path_factory.mktemp("exported")
    export_reviews(root / "reviews")
    export_reviews(root / "reviews_biased", bias=0.2)
    export_numbers(root / "numbers")
    return root


@pytest.fixture(scope="session")
def served(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server with the models `reviews` (versions 1 and 2, labels stable and canary) and `numbers`; only read it."""
    root = tmp_path_factory.mktemp("served")
    shutil.copytree(exported / "reviews", root / "reviews" / "1")
    shutil.copytree(exported / "reviews_biased", root / "reviews" / "2")
    shutil.copytree(exported / "numbers", root / "numbers" / "1")
    config = root / "models.config"
    config.write_text(
        f"""
        model_config_list {{
          config {{
            name: "reviews" base_path: "{root}/reviews" model_platform: "tensorflow"
            model_version_policy {{ all {{}} }}
            version_labels {{ key: "stable" value: 1 }}
            version_labels {{ key: "canary" value: 2 }}
          }}
          config {{ name: "numbers" base_path: "{root}/numbers" model_platform: "tensorflow" }}
        }}
        """
    )
    monitoring = root / "monitoring.config"
    monitoring.write_text("prometheus_config { enable: true }")
    with RunningServer(
        model_config_file=config,
        monitoring_config_file=monitoring,
        allow_version_labels_for_unavailable_models=True,
    ) as server:
        yield server


@pytest.fixture
def start() -> Iterator[Callable[..., RunningServer]]:
    """Starts servers that the test's end stops."""
    servers: list[RunningServer] = []

    def begin(**options: object) -> RunningServer:
        servers.append(RunningServer(**options))
        return servers[-1]

    yield begin
    for server in servers:
        server.__exit__()
