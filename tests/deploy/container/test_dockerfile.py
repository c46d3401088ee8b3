"""The image: hadolint has nothing to say, all that is copied is there, it runs as nobody, from pinned packages."""

import json
import re
import shlex
import subprocess
import sys
import sysconfig
from importlib.metadata import distributions
from pathlib import Path

import pytest

from pipeline.kubeflow.compiler import COMMAND

ROOT = Path(__file__).parents[3]
FILE = ROOT / "deploy" / "container" / "Dockerfile"
LOCKS = (
    ROOT / "deploy" / "setup" / "requirements.lock",
    ROOT / "deploy" / "container" / "gpu.lock",
    ROOT / "deploy" / "container" / "sbom.lock",
)


def stages():
    """Stage → its (base, [(instruction, words)])."""
    text = re.sub(r"\\\n", " ", FILE.read_text(encoding="utf-8"))
    found, current = {}, None
    for line in text.splitlines():
        instruction, _, rest = line.strip().partition(" ")
        if not instruction or instruction.startswith("#"):
            continue
        if instruction == "FROM":
            base, _, current = rest.split()
            found[current] = (base, [])
        else:
            found[current][1].append((instruction, rest.strip()))
    return found


STAGES = stages()


def all_of(stage, wanted):
    """What an instruction says in a stage and in the stages that it is built on, the earliest first."""
    base, lines = STAGES[stage]
    before = all_of(base, wanted) if base in STAGES else []
    return before + [rest for instruction, rest in lines if instruction == wanted]


def pinned(lock):
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE))


def test_hadolint_has_nothing_to_say():
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "--no-color", FILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_base_is_pinned_and_brings_the_glibc_that_the_wheels_want():
    assert STAGES["base"][0] == "python:3.11.14-slim-trixie"
    assert {base for base, _ in STAGES.values()} - set(STAGES) == {
        "python:3.11.14-slim-trixie",
        "python:3.11.14-trixie",
    }


@pytest.mark.parametrize("stage", STAGES)
def test_all_that_is_copied_is_there_and_not_ignored(stage):
    ignore = (FILE.parent / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = [line.removeprefix("!") for line in ignore if line.startswith("!")]
    assert "*" in ignore
    for instruction, rest in STAGES[stage][1]:
        if instruction != "COPY":
            continue
        *sources, _ = shlex.split(rest)
        if sources[0].startswith("--from="):
            assert sources[0].removeprefix("--from=") in STAGES
            continue
        for source in sources:
            assert (ROOT / source).exists(), source
            assert any(each == source or each.startswith(f"{source}/") for each in let_through), source


def test_what_is_let_through_holds_every_package():
    ignore = (FILE.parent / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    for line in ignore:
        if line.startswith("!"):
            assert (ROOT / line[1:]).exists(), line
    packages = {path.parent.relative_to(ROOT) for path in (ROOT / "deploy").rglob("__init__.py")}
    assert packages == {Path("deploy"), Path("deploy/serving")}


@pytest.mark.parametrize("stage", ["cpu", "gpu"])
def test_it_runs_as_nobody_and_looks_after_itself(stage):
    user = all_of(stage, "USER")[-1]
    assert user == "65532:65532"
    (health,) = all_of(stage, "HEALTHCHECK")
    assert health.endswith('CMD ["attention", "doctor"]')
    labels = " ".join(all_of(stage, "LABEL"))
    for label in ("title", "description", "licenses", "version"):
        assert f"org.opencontainers.image.{label}=" in labels
    assert "TF_USE_LEGACY_KERAS=0" in " ".join(all_of(stage, "ENV"))


def test_the_default_is_the_cpu():
    assert list(STAGES)[-1] == "cpu"


def test_every_package_comes_from_a_lock_with_hashes_and_leaves_no_cache():
    installs = [
        command.strip()
        for _, lines in STAGES.values()
        for instruction, rest in lines
        if instruction == "RUN"
        for command in rest.split("&&")
        if " install " in command and "pip" in command
    ]
    assert len(installs) == 5
    for install in installs:
        assert "--no-cache" in install
        assert "--require-hashes" in install or install.endswith("--no-deps --no-build-isolation .")
    for lock in LOCKS:
        text = lock.read_text(encoding="utf-8")
        packages = re.findall(r"^\S+==", text, re.MULTILINE)
        assert len(re.findall(r"^\S+==.*\\\n    --hash=sha256:", text, re.MULTILINE)) == len(packages) > 10


def test_the_gpu_has_the_packages_of_the_cpu_and_cuda_beside_them():
    cpu, gpu, _ = map(pinned, LOCKS)
    cuda = {name for name in gpu if name not in cpu}
    assert {name: gpu[name] for name in gpu.keys() - cuda} == {name: cpu[name] for name in gpu.keys() - cuda}
    assert all(name.startswith("nvidia-") for name in cuda)
    assert "nvidia-cudnn-cu12" in cuda


@pytest.mark.slow
def test_the_bill_of_materials_names_every_package_that_is_installed(tmp_path):
    """The image's own commands, with folders of their own."""
    (make,) = [rest for rest in all_of("packages", "RUN") if "cyclonedx-py" in rest]
    for written, here in (
        ("uv ", f"{Path(sys.executable).with_name('uv')} "),
        ("/opt/sbom", str(tmp_path / "sbom")),
        ("sbom.lock", str(LOCKS[2])),
        ("/opt/venv/sbom.cdx.json", str(tmp_path / "sbom.cdx.json")),
        ("/opt/venv/bin/python", sys.executable),
    ):
        make = make.replace(written, here)
    done = subprocess.run(make, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    bill = json.loads((tmp_path / "sbom.cdx.json").read_text(encoding="utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    listed = {each["name"].lower().replace("_", "-").replace(".", "-"): each for each in bill["components"]}
    here = distributions(path=[sysconfig.get_path("purelib")])  # not what setuptools adds to the path of a process
    installed = {each.metadata["Name"].lower().replace("_", "-").replace(".", "-"): each.version for each in here}
    assert {name: each["version"] for name, each in listed.items()} == installed
    assert listed["tfx"]["purl"] == f"pkg:pypi/tfx@{installed['tfx']}"
    assert [each["license"].get("id") for each in listed["attention-pipeline"]["licenses"]] == ["Apache-2.0"]


def test_the_entrypoint_of_the_steps_is_a_module_of_the_image():
    python, flag, module = COMMAND
    assert (python, flag) == ("python", "-m")
    assert (ROOT / f"{module.replace('.', '/')}.py").is_file()
