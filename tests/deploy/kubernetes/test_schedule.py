"""The CronJob: valid, hardened, one at a time, and its command line and config are ones that we understand."""

from pathlib import Path

import kubernetes_validate
import pytest

from pipeline.cli import main
from pipeline.config import load
from tests.deploy.kubernetes.kustomize import of_kind, render
from tests.deploy.kubernetes.test_manifests import KUBERNETES_VERSION, ROOT

FOLDER = ROOT / "schedule"


@pytest.fixture(scope="module")
def objects():
    return render(FOLDER)


@pytest.fixture
def job(objects):
    return of_kind(objects, "CronJob")["spec"]


@pytest.fixture
def pod(job):
    return job["jobTemplate"]["spec"]["template"]["spec"]


def test_every_object_is_valid_by_the_strict_schema(objects):
    for each in objects:
        kubernetes_validate.validate(each, KUBERNETES_VERSION, strict=True)


def test_one_at_a_time_and_retries_are_the_schedules_own(job, pod):
    assert job["concurrencyPolicy"] == "Forbid"
    assert job["jobTemplate"]["spec"]["backoffLimit"] == 0
    assert pod["restartPolicy"] == "Never"
    assert job["startingDeadlineSeconds"] >= 60  # less, and the controller may find every start too late


def test_the_command_line_is_understood(pod):
    (container,) = pod["containers"]
    name, command, *rest = [*container["command"], *container["args"]]
    assert (name, command) == ("attention", "schedule")
    told = main.commands[command].make_context(command, rest).params
    assert told["once"]
    assert told["as_json"]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert str(told["workspace"]) in mounts
    assert str(told["config"].parent) in mounts


def test_the_config_is_one_and_reads_what_is_mounted(objects, pod):
    assert list(of_kind(objects, "ConfigMap")["data"]) == ["reviews.yaml"]
    config = load(FOLDER / "config" / "reviews.yaml")
    assert config.schedule.triggers == ("new_data",)
    mounts = {mount["mountPath"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts[str(Path(config.data.input).parent)]["readOnly"]


def test_what_is_pushed_lies_on_the_servers_volume(pod):
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    claim = volumes[mounts["/workspace/serving"]]["persistentVolumeClaim"]["claimName"]
    assert claim == of_kind(render(ROOT / "overlays" / "cpu"), "PersistentVolumeClaim")["metadata"]["name"]
    assert set(mounts.values()) == set(volumes)


def test_the_container_may_do_little(pod):
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert "memory" in container["resources"]["limits"]
    assert ":" in container["image"]
