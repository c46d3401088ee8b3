"""As much of `kubectl kustomize` as our manifests use: resources, components, images, config maps, JSON patches."""

from pathlib import Path
from typing import Any

import yaml

KNOWN = {
    "apiVersion", "kind", "labels", "resources", "components", "images", "configMapGenerator", "patches",
}  # fmt: skip


def render(folder: Path, components: tuple[Path, ...] = ()) -> list[dict[str, Any]]:
    """The objects that a folder's kustomization.yaml stands for.

    Args:
        folder: with a kustomization.yaml.
        components: more of them, as if it named them.
    """
    objects: list[dict[str, Any]] = []
    _apply(folder, objects)
    for component in components:
        _apply(component, objects)
    return objects


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [each for each in objects if each["kind"] == kind]
    return found


def _apply(folder: Path, objects: list[dict[str, Any]]) -> None:
    spec = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    assert spec.keys() <= KNOWN, folder
    for name in spec.get("resources", []):
        path = (folder / name).resolve()
        if path.is_dir():
            _apply(path, objects)
        else:
            objects += [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each]
    for generator in spec.get("configMapGenerator", []):
        _generate(folder, generator, objects)
    for image in spec.get("images", []):
        for container in _containers(objects):
            if container["image"].partition(":")[0] == image["name"]:
                container["image"] = f"{image['name']}:{image['newTag']}"
    for patch in spec.get("patches", []):
        target = patch["target"]
        hit = [each for each in objects if all(_named(each)[key] == target[key] for key in target)]
        assert hit, f"{folder}: nothing is patched by {target}"
        for each in hit:
            for operation in yaml.safe_load(patch["patch"]):
                _operate(each, **operation)
    for name in spec.get("components", []):
        _apply((folder / name).resolve(), objects)
    for labels in spec.get("labels", []):
        for each in objects:
            each["metadata"].setdefault("labels", {}).update(labels["pairs"])


def _named(each: dict[str, Any]) -> dict[str, str]:
    return {"kind": each["kind"], "name": each["metadata"]["name"]}


def _containers(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        box
        for each in objects
        if each["kind"] == "Deployment"
        for box in each["spec"]["template"]["spec"]["containers"]
    ]


def _generate(folder: Path, generator: dict[str, Any], objects: list[dict[str, Any]]) -> None:
    data = {Path(name).name: (folder / name).read_text(encoding="utf-8") for name in generator["files"]}
    existing = [each for each in objects if _named(each) == {"kind": "ConfigMap", "name": generator["name"]}]
    if generator.get("behavior", "create") == "merge":
        existing[0]["data"].update(data)
        return
    assert not existing
    metadata = {"name": generator["name"]}
    objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def _operate(document: Any, op: str, path: str, value: Any) -> None:
    """RFC 6902 `add` and `replace`."""
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    for part in parents:
        document = document[int(part)] if isinstance(document, list) else document[part]
    key: Any = int(last) if isinstance(document, list) else last
    assert op in {"add", "replace"}
    assert op == "add" or (key < len(document) if isinstance(document, list) else key in document), path
    document[key] = value
