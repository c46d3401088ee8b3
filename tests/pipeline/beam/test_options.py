"""Each runner has its own settings, and what an engine cannot do is told before the first step."""

import re
import socket

import pytest

from pipeline.beam.checks import check
from pipeline.config import ConfigError, json_schema, parse
from pipeline.kubeflow.compiler import compile_pipeline
from pipeline.workspace import Workspace
from tests.pipeline.beam.test_arguments import DATAFLOW, FLINK, IMAGE
from tests.pipeline.test_config import SMALL

PORTABLE = {"runner": "portable", "job_endpoint": "localhost:1", "worker_pool": "localhost:2"}


def config_with(beam):
    return parse(SMALL | {"beam": beam})


def without(group, name):
    return {key: value for key, value in group.items() if key != name}


@pytest.fixture
def port():
    """One that something listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_without_a_runner_the_size_of_the_input_chooses():
    assert parse(SMALL).beam == config_with({}).beam == config_with({"runner": "auto"}).beam
    assert config_with({"workers": 3}).beam.workers == 3
    assert "oneOf" not in json_schema()["properties"]["beam"]


@pytest.mark.parametrize(
    ("beam", "message"),
    [
        ({"runner": "dask"}, ": Input tag 'dask' found using 'runner' does not match"),
        (without(FLINK, "master"), ".master`: is needed and not there."),
        (without(DATAFLOW, "project"), ".project`: is needed and not there."),
        (FLINK | {"region": "x"}, ".region`: is not a setting of `beam.runner: flink`. Received: 'x'. It is one of "),
        ({"runner": "direct", "workers": 2}, "`beam.runner: direct`. Received: 2. It is one of auto, processes."),
        (FLINK | {"masters": "a:1"}, "`beam.runner: flink`. Received: 'a:1'. Did you mean `master`?"),
        (FLINK | {"worker_image": IMAGE}, "`beam`: needs one of worker_pool, worker_image, worker_command"),
        (without(PORTABLE, "worker_pool"), "`beam`: needs one of worker_pool, worker_image, worker_command"),
        (FLINK | {"version": "1.18"}, ".version`: Input should be '1.19', '1.20', '2.0', '2.1' or '2.2'. Received: "),
        (DATAFLOW | {"temp_location": "/tmp"}, ".temp_location`: String should match pattern"),
    ],
)
def test_a_fault_is_one_sentence(beam, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        config_with(beam)
    assert "1 fault:" in str(caught.value)


def test_an_engine_elsewhere_must_share_the_folders(tmp_path, port):
    workspace = Workspace(tmp_path / "workspace")
    here = PORTABLE | {"job_endpoint": f"localhost:{port}"}
    check(config_with(here), workspace)
    in_containers = without(here, "worker_pool") | {"worker_image": IMAGE}
    with pytest.raises(ConfigError, match=r"`beam\.shared_folder` must name the folder .*/workspace must lie in it"):
        check(config_with(in_containers), workspace)
    shared = in_containers | {"shared_folder": str(tmp_path)}
    with pytest.raises(ConfigError, match=rf"must hold what workers use.* {tmp_path}; outside is .*mood\.csv"):
        check(config_with(shared), workspace)
    check(config_with(shared), workspace, [str(tmp_path / "mood.csv"), "gs://shop/mood.csv"])
    with pytest.raises(ConfigError, match="outside is asset:reviews"):
        check(config_with(shared), workspace, ["asset:reviews"])


@pytest.mark.parametrize(
    ("beam", "message"),
    [
        (PORTABLE, "`beam.job_endpoint`: nothing answers at localhost:1 (Connection refused). Start the engine"),
        (FLINK | {"master": "127.0.0.1:1"}, "`beam.master`: nothing answers at 127.0.0.1:1 (Connection refused)"),
        (FLINK | {"master": "127.0.0.1:1", "job_server_jar": "/no.jar"}, "`beam.job_server_jar`: there is no file /no"),
        (DATAFLOW, "`beam.runner: dataflow`: its workers see gs:// alone, and the artifacts of a run lie in a folder"),
    ],
)
def test_an_engine_that_cannot_work_is_told_before_the_run(beam, message, tmp_path):
    with pytest.raises(ConfigError, match=re.escape(message)):
        check(config_with(beam), Workspace(tmp_path))


def test_kubeflow_keeps_its_artifacts_where_no_engine_sees_them(tmp_path):
    with pytest.raises(
        ConfigError, match=r"`beam\.runner: flink`: Kubeflow keeps a step's artifacts on its pod's own disk"
    ):
        compile_pipeline(config_with(FLINK), Workspace(tmp_path))
