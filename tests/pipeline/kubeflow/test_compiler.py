"""What is compiled is what Kubeflow Pipelines takes: by its own protos, and by the golden file."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from google.protobuf import json_format
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineDeploymentConfig, PipelineSpec, PlatformSpec

from pipeline.cli import main
from pipeline.config import ConfigError
from tests.pipeline.kubeflow.conftest import CONFIG
from tests.pipeline.test_dag import NODES

GOLDEN = Path(__file__).with_name("golden_pipeline.yaml")
RENEW = "python -m tests.pipeline.kubeflow.renew_golden"


@pytest.fixture(scope="module")
def spec(compiled):
    return json_format.ParseDict(compiled.documents[0], PipelineSpec())


@pytest.fixture(scope="module")
def containers(spec):
    """Step → its container."""
    told = json_format.ParseDict(json_format.MessageToDict(spec.deployment_spec), PipelineDeploymentConfig())
    return {
        name: told.executors[spec.components[task.component_ref.name].executor_label].container
        for name, task in spec.root.dag.tasks.items()
    }


@pytest.fixture(scope="module")
def pods(compiled):
    """Step → what only Kubernetes knows."""
    platform = json_format.ParseDict(compiled.documents[1], PlatformSpec())
    executors = platform.platforms["kubernetes"].deployment_spec.executors
    return {
        label.removesuffix("_executor"): json_format.ParseDict(
            json_format.MessageToDict(pod), KubernetesExecutorConfig()
        )
        for label, pod in executors.items()
    }


def test_the_golden_file_is_what_is_compiled(compiled):
    golden = list(yaml.safe_load_all(GOLDEN.read_text(encoding="utf-8")))
    told = list(yaml.safe_load_all(compiled.yaml))
    assert told == golden, f"If that is meant to be: {RENEW}"


def test_kfps_own_sdk_reads_it():
    from kfp import components

    told = components.load_component_from_file(str(GOLDEN))
    assert told.name == "mood-of-day"
    assert list(told.platform_spec.platforms) == ["kubernetes"]


def test_the_spec_is_version_2_1_and_holds_every_step(spec):
    assert spec.schema_version == "2.1.0"
    assert spec.pipeline_info.name == "mood-of-day"
    assert spec.default_pipeline_root == "s3://artifacts/mood"
    assert sorted(spec.root.dag.tasks) == sorted(NODES)
    assert not spec.root.input_definitions.parameters


def test_every_container_runs_our_entrypoint_on_the_executor(containers):
    for name, container in containers.items():
        image = "registry.example/attention-pipeline:0.1.0"
        assert container.image == (f"{image}-gpu" if name == "Trainer" else image)
        assert list(container.command) == ["python", "-m", "pipeline.kubeflow.entrypoint"]
        assert container.args[0] == "--executor_class_path"
        assert container.args[1].endswith("Executor"), name
        assert container.args[3] == "{{$}}"
        assert not container.HasField("lifecycle")


def test_what_follows_the_data_gate_runs_under_its_blessing(spec):
    conditions = {name: task.trigger_policy.condition for name, task in spec.root.dag.tasks.items()}
    behind = NODES[NODES.index("Transform") :]
    assert sorted(name for name, condition in conditions.items() if condition) == sorted(behind)
    blessed = "(inputs.artifacts['{}'].artifacts[0].metadata['blessed'] == 1.0)"
    assert conditions["Transform"] == blessed.format("_DataGate.blessing")
    assert conditions["Pusher"] == blessed.format("data_blessing")  # which it reads besides
    assert set(map(conditions.get, behind)) == {conditions["Transform"], conditions["Pusher"]}


def test_what_is_live_is_looked_up_at_run_time(spec):
    for name in ("DataGate", "BaselineModel"):
        parameters = spec.root.dag.tasks[name].inputs.parameters
        assert parameters["live_version"].runtime_value.constant.number_value == -1
        assert parameters["serving_dir"].runtime_value.constant.string_value == "/workspace/serving/mood_of_day"


def test_a_step_gets_its_resources_and_retries(spec, containers):
    trainer, pusher = containers["Trainer"].resources, containers["Pusher"].resources
    assert (trainer.resource_cpu_request, trainer.resource_cpu_limit) == ("2", "2")
    assert (trainer.resource_memory_request, trainer.resource_memory_limit) == ("16Gi", "16Gi")
    assert (trainer.accelerator.resource_type, trainer.accelerator.resource_count) == ("nvidia.com/gpu", "1")
    assert pusher.resource_memory_limit == "4Gi"
    assert not pusher.HasField("accelerator")
    retries = {name: task.retry_policy.max_retry_count for name, task in spec.root.dag.tasks.items()}
    assert retries == {**dict.fromkeys(NODES, 2), "Pusher": 0}


def test_nothing_that_looks_at_the_world_is_cached(spec, compile_with):
    def cached(of):
        return {name for name, task in of.root.dag.tasks.items() if task.caching_options.enable_cache}

    assert cached(spec) == set(NODES) - {"ExampleGen", "DataGate", "BaselineModel", "Pusher"}
    other = compile_with("kubeflow.defaults.caching=false", "kubeflow.steps.ExampleGen.caching=true")
    assert cached(json_format.ParseDict(other.documents[0], PipelineSpec())) == {"ExampleGen"}


def test_a_pod_gets_volumes_nodes_secrets_and_a_deadline(pods):
    assert sorted(pods) == sorted(NODES)
    for pod in pods.values():
        claims = [each.pvc_name_parameter.runtime_value.constant.string_value for each in pod.pvc_mount]
        mounts = dict(zip(claims, [each.mount_path for each in pod.pvc_mount], strict=True))
        assert mounts == {"attention-workspace": "/workspace", "attention-data": "/data"}
    trainer = pods["Trainer"]
    assert dict(trainer.node_selector.labels) == {"pool": "gpu"}
    assert trainer.active_deadline_seconds == 7200
    (secret,) = trainer.secret_as_env
    assert secret.secret_name == "hub"
    assert [(each.secret_key, each.env_var) for each in secret.key_to_env] == [("token", "HF_TOKEN")]
    assert not pods["Pusher"].secret_as_env
    assert not pods["Pusher"].active_deadline_seconds


def test_equal_configs_have_equal_versions(compiled, compile_with):
    assert compile_with().digest == compiled.digest
    assert compile_with(image="other:1").digest != compiled.digest


def test_a_search_is_left_out_and_that_is_told(compiled, tmp_path):
    config, out = tmp_path / "mood.yaml", tmp_path / "pipeline.yaml"
    config.write_text(
        yaml.safe_dump({**CONFIG, "tune": {"space": {"train.epochs": [2, 4]}}}, sort_keys=False), encoding="utf-8"
    )
    done = CliRunner().invoke(main, ["compile", str(config), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "`tune` is not for Kubeflow: the compiled pipeline trains with the config's own values" in done.output
    assert out.read_text(encoding="utf-8") == compiled.yaml


def test_spans_are_settled_when_compiling(compile_with, tmp_path):
    for day in ("20260101", "20260102"):
        (tmp_path / f"{day}.csv").touch()
    volumes = {"attention-workspace": "/workspace", "days": str(tmp_path)}
    compiled = compile_with(f"data.input={tmp_path}/{{DATE}}.csv", f"kubeflow.volumes={json.dumps(volumes)}")
    assert "20260102.csv" in compiled.yaml
    assert "{DATE}" not in compiled.yaml


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["kubeflow.image=''"], r"`kubeflow.image` or --image must name the image"),
        (["kubeflow.pipeline_root=/tmp"], r"must start with gs://, s3://, minio://\. Received: '/tmp'"),
        (["kubeflow.volumes={}"], r"must mount a claim at /workspace or above.*Received: none"),
        (
            ["data.input=/elsewhere/mood.csv"],
            r"must be an address or lie on a volume.*'/elsewhere/mood.csv'",
        ),
        (["data.input=asset:reviews"], r"'asset:reviews' lies in a cache of this machine"),
        (["model.encoder=bert", "model.preset=asset:minilm"], r"'asset:minilm' lies in a cache of this machine"),
        (["data.input=/data/{DATE}.csv"], r"no span matches `/data/{DATE}.csv` yet. Spans are settled when"),
        (
            ['data.input={"train": "/data/{SPAN}/a.csv", "test": "/data/{SPAN}/b.csv"}'],
            r"`ExampleGen` has {SPAN} in its parameter `input_config`, which only a driver",
        ),
        (["schema_file=schema.pbtxt"], r"`schema_file` must lie on a volume"),
        (["push.label=canary"], r"`push.label: canary` asks the servers what is stable"),
    ],
)
def test_what_cannot_run_there_is_refused(compile_with, settings, message):
    with pytest.raises(ConfigError, match=message):
        compile_with(*settings)


def test_all_faults_are_told_at_once(compile_with):
    with pytest.raises(ConfigError, match=r"(?s)image.*pipeline_root.*volumes.*push\.label"):
        compile_with("kubeflow.image=''", "kubeflow.pipeline_root=/tmp", "kubeflow.volumes={}", "push.label=canary")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("kubeflow.steps.Pusher.caching=true", "this step looks at what is live, so it cannot be cached"),
        ("kubeflow.steps.Tuner.cpu=1", "`kubeflow.steps.Tuner"),
        ("kubeflow.defaults.memory=much", "`kubeflow.defaults.memory`"),
        ("kubeflow.defaults.secrets.TOKEN=hub", "`kubeflow.defaults.secrets.TOKEN`"),
        ("kubeflow.defaults.disk=1", "`kubeflow.defaults.disk`: is not a setting"),
    ],
)
def test_a_wrong_setting_is_named(compile_with, setting, message):
    with pytest.raises(ConfigError, match=message):
        compile_with(setting)
