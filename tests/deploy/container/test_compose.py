"""The compose file: pinned images, hardened, every mounted file there, every flag and file read by our own parsers."""

import os
import re
from pathlib import Path

import pytest
import yaml

from tests.deploy.server_flags import check_files, parse

FILE = Path(__file__).parents[3] / "deploy" / "container" / "compose.yaml"
COMPOSE = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
KNOWN = {
    "image", "entrypoint", "command", "user", "read_only", "tmpfs", "cap_drop", "security_opt", "ports", "volumes",
    "networks", "healthcheck", "stop_grace_period", "restart", "deploy", "depends_on",
}  # fmt: skip


def filled(text, **variables):
    """`${NAME:-default}` as compose fills it."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: variables.get(found[1], found[2]), text)


def mounts(service, **variables):
    """Path in the container → path outside, or the name of a volume."""
    found = {}
    for volume in service.get("volumes", []):
        source, inside, *mode = filled(volume, **variables).split(":")
        assert mode in ([], ["ro"])
        if source in COMPOSE["volumes"]:
            found[inside] = source
        else:
            assert mode == ["ro"], volume  # what is ours is only read
            found[inside] = Path(os.path.normpath(FILE.parent / source))
    return found


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_pinned_hardened_and_of_known_keys(name):
    service = SERVICES[name]
    assert service.keys() <= KNOWN
    assert re.fullmatch(r"[a-z0-9/-]+:v?\d+\.\d+\.\d+(-[a-z0-9]+)?", service["image"])
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert set(service.get("depends_on", [])) <= SERVICES.keys()


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_mounted_file_is_there(name):
    for inside, outside in mounts(SERVICES[name]).items():
        if isinstance(outside, Path) and inside != "/models":  # a workspace comes with the first run
            assert outside.exists(), outside


def test_the_server_runs_as_nobody_on_a_root_that_is_read_only():
    serving = SERVICES["serving"]
    user = serving["user"].partition(":")[0]
    assert int(user) > 0
    assert serving["read_only"]
    assert serving["tmpfs"] == ["/tmp"]
    assert mounts(serving)["/models"] == FILE.parents[2] / "workspace" / "reviews" / "serving"


def test_the_server_understands_its_flags_and_files(tmp_path):
    serving = SERVICES["serving"]
    assert serving["entrypoint"] == ["tensorflow_model_server"]
    options = parse([filled(each) for each in serving["command"]], mounts(serving))
    assert check_files(options) == {"reviews": "/models/reviews"}
    assert {f"127.0.0.1:{port}:{port}" for port in (options.port, options.rest_api_port)} == set(serving["ports"])
    (tmp_path / "models.config").write_text("model_config_list {}", encoding="utf-8")
    chosen = {"MODEL_CONFIG_FILE": "/models/models.config", "SERVING_DIR": str(tmp_path)}
    labelled = parse([filled(each, **chosen) for each in serving["command"]], mounts(serving, **chosen))
    assert labelled.model_config_file == tmp_path / "models.config"


def test_prometheus_and_grafana_start_from_the_mounted_files():
    prometheus, grafana = SERVICES["prometheus"], SERVICES["grafana"]
    assert f"--config.file={next(iter(mounts(prometheus)))}" in prometheus["command"]
    found = mounts(grafana)
    provider = yaml.safe_load(found["/etc/grafana/provisioning/dashboards/attention.yaml"].read_text(encoding="utf-8"))
    folder = provider["providers"][0]["options"]["path"]
    assert [inside for inside in found if inside.startswith(f"{folder}/")] == [f"{folder}/attention.json"]
    source = yaml.safe_load(found["/etc/grafana/provisioning/datasources/attention.yaml"].read_text(encoding="utf-8"))
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
