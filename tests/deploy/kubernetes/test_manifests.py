"""What would be applied: valid by the schemas of Kubernetes, hardened, and read by the server's own parsers."""

from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from tests.deploy.kubernetes.kustomize import of_kind, render
from tests.deploy.server_flags import check_files, parse

ROOT = Path(__file__).parents[3] / "deploy" / "kubernetes"
KUBERNETES_VERSION = "1.37"
CANARY = (ROOT / "components" / "canary",)
VARIANTS = [
    pytest.param("cpu", (), id="cpu"),
    pytest.param("gpu", (), id="gpu"),
    pytest.param("cpu", CANARY, id="cpu with labels"),
    pytest.param("gpu", CANARY, id="gpu with labels"),
]


@pytest.fixture
def objects(overlay, components):
    return render(ROOT / "overlays" / overlay, components)


@pytest.fixture
def pod(objects):
    return of_kind(objects, "Deployment")["spec"]["template"]["spec"]


@pytest.fixture
def container(pod):
    (only,) = pod["containers"]
    return only


@pytest.mark.parametrize(("overlay", "components"), VARIANTS)
def test_every_object_is_valid_by_the_strict_schema(objects):
    for each in objects:
        kubernetes_validate.validate(each, KUBERNETES_VERSION, strict=True)
    kinds = [each["kind"] for each in objects]
    assert {"Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy", "ConfigMap"} <= set(kinds)
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]
    assert len(names) == len(set(names))


def test_the_schema_refuses_what_is_misspelt():
    deployment = of_kind(render(ROOT / "overlays" / "cpu"), "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(deployment, KUBERNETES_VERSION, strict=True)


@pytest.mark.parametrize(("overlay", "components"), VARIANTS)
def test_the_server_understands_its_flags_and_files(objects, container, tmp_path, components):
    assert container["command"] == ["tensorflow_model_server"]
    for name, text in of_kind(objects, "ConfigMap")["data"].items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    arguments = container["args"]
    if components:
        assert "--model_config_file=/models/models.config" in arguments
        assert not any("/config/models.config" in each for each in arguments)
    options = parse(arguments, {"/config": tmp_path, "/models": tmp_path})
    assert check_files(options) == {"reviews": "/models/reviews"}
    assert options.allow_version_labels_for_unavailable_models
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": options.port, "rest": options.rest_api_port}


@pytest.mark.parametrize(("overlay", "components"), VARIANTS)
def test_the_container_is_pinned_and_may_do_little(pod, container, overlay):
    image, _, tag = container["image"].partition(":")
    assert image == "tensorflow/serving"
    assert tag == {"cpu": "2.19.1", "gpu": "2.19.1-gpu"}[overlay]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert "memory" in container["resources"]["limits"]
    assert ("nvidia.com/gpu" in container["resources"]["limits"]) == (overlay == "gpu")
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounts.keys() == {volume["name"] for volume in pod["volumes"]}
    assert mounts["models"]["readOnly"]
    assert mounts["config"]["readOnly"]


@pytest.mark.parametrize(("overlay", "components"), VARIANTS)
def test_probes_ask_for_a_model_that_takes_traffic_and_a_stop_is_waited_for(pod, container, components):
    path = f"/v1/models/reviews{'/labels/stable' if components else ''}/metadata"
    for probe in ("startupProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": path, "port": "rest"}
    # A model that does not load is no reason to kill the server that serves the others.
    assert container["livenessProbe"]["tcpSocket"] == {"port": "grpc"}
    assert pod["terminationGracePeriodSeconds"] > container["lifecycle"]["preStop"]["sleep"]["seconds"]


@pytest.mark.parametrize(("overlay", "components"), VARIANTS)
def test_objects_point_to_each_other(objects, pod):
    labels = of_kind(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        of_kind(objects, "Deployment")["spec"]["selector"]["matchLabels"],
        of_kind(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        of_kind(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(each["spec"]["selector"] for each in objects if each["kind"] == "Service"),
        *(each["labelSelector"]["matchLabels"] for each in pod["topologySpreadConstraints"]),
    ]
    assert len(selectors) == 6
    assert all(selector and selector.items() <= labels.items() for selector in selectors)
    autoscaler = of_kind(objects, "HorizontalPodAutoscaler")["spec"]
    assert autoscaler["scaleTargetRef"]["name"] == of_kind(objects, "Deployment")["metadata"]["name"]
    assert "replicas" not in of_kind(objects, "Deployment")["spec"]  # or each apply undoes the autoscaler
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    claim = of_kind(objects, "PersistentVolumeClaim")["metadata"]["name"]
    assert volumes["models"]["persistentVolumeClaim"]["claimName"] == claim
    assert volumes["config"]["configMap"]["name"] == of_kind(objects, "ConfigMap")["metadata"]["name"]
    policy = of_kind(objects, "NetworkPolicy")["spec"]
    assert (policy["policyTypes"], policy["egress"]) == (["Ingress", "Egress"], [])
    assert all(rule["from"] and rule["ports"] for rule in policy["ingress"])


def test_every_file_belongs_to_a_kustomization():
    files = {path for path in ROOT.rglob("*") if path.is_file()}
    used = set()
    for kustomization in ROOT.rglob("kustomization.yaml"):
        spec = yaml.safe_load(kustomization.read_text(encoding="utf-8"))
        named = [
            *spec.get("resources", []),
            *(file for each in spec.get("configMapGenerator", []) for file in each["files"]),
        ]
        used |= {kustomization, *((kustomization.parent / name).resolve() for name in named)}
    assert files <= used
