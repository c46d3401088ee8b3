"""A copy of every artifact in an object store, so that a run goes on where their folder was lost or cleared.

Steps read and write files of this machine, as they do under Kubeflow's launcher. What a step wrote is copied to the
store before the next step begins, at the address that it has in the workspace; what a run may take from earlier ones
is fetched before its first step (TFX makes again what it does not find). A manifest, written last, says that an
artifact is whole. Files go through Beam's file systems, which take credentials from the environment alone, and try for
minutes.
"""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from ml_metadata.proto.metadata_store_pb2 import Artifact

from pipeline.config import ArtifactStoreError, ConfigError
from pipeline.extras import is_here

MANIFEST = "manifest.json"
_FILES_AT_ONCE = 8
_CHUNK_BYTES = 8 << 20


class ArtifactStore:
    """What `artifacts.store` names.

    Attributes:
        copied_bytes: copied to the store so far.
        fetched_bytes: fetched from it so far.
    """

    def __init__(self, address: str, folder: Path):
        """Opens nothing yet.

        Args:
            address: gs:// or s3:// folder.
            folder: where the artifacts lie on this machine.

        Raises:
            ConfigError: s3:// needs a package that is not here.
        """
        if address.startswith("s3://") and not is_here("boto3"):
            raise ConfigError(
                "`artifacts.store` in s3:// needs a package that is not here: pip install 'attention-pipeline[s3]'."
            )
        self._address = address.rstrip("/")
        self._folder = folder
        self.copied_bytes = 0
        self.fetched_bytes = 0

    def restore(self, artifacts: Iterable[Artifact]) -> None:
        """Fetches what is lost here; what was never copied is passed over.

        Args:
            artifacts: of ML Metadata; those outside the folder are passed over.

        Raises:
            ArtifactStoreError: the store cannot be read.
        """
        for artifact, path, address in self._places(artifacts):
            if not path.exists():
                manifest = self._manifest(address, artifact)
                if manifest is not None:
                    self._fetch(path, address, manifest)

    def keep(self, artifacts: Iterable[Artifact]) -> None:
        """Copies what the store has no whole copy of.

        Args:
            artifacts: as `restore` takes them; they are here.

        Raises:
            ArtifactStoreError: the store cannot be read or written.
        """
        for artifact, path, address in self._places(artifacts):
            if self._manifest(address, artifact) is None:
                self._copy(path, address, artifact)

    def told(self) -> str:
        """What was done, for people."""
        copied, fetched = (f"{size / (1 << 20):.1f} MiB" for size in (self.copied_bytes, self.fetched_bytes))
        return f"{copied} copied to {self._address}, {fetched} fetched from there"

    def _places(self, artifacts: Iterable[Artifact]) -> Iterator[tuple[Artifact, Path, str]]:
        for artifact in artifacts:
            path = Path(artifact.uri)
            if path.is_relative_to(self._folder):
                yield artifact, path, f"{self._address}/{path.relative_to(self._folder).as_posix()}"

    def _copy(self, path: Path, address: str, artifact: Artifact) -> None:
        files = sorted(each for each in path.rglob("*") if each.is_file())
        empty = sorted(each for each in path.rglob("*") if each.is_dir() and not any(each.iterdir()))

        def copy(file: Path) -> dict[str, Any]:
            target = f"{address}/{file.relative_to(path).as_posix()}"
            return {"bytes": file.stat().st_size, "sha256": self._try("written", _upload, file, target)}

        with ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
            told = dict(zip((file.relative_to(path).as_posix() for file in files), pool.map(copy, files), strict=True))
        manifest = {
            "created": artifact.create_time_since_epoch,
            "files": told,
            "directories": [each.relative_to(path).as_posix() for each in empty],
        }
        self._try("written", _write, f"{address}/{MANIFEST}", json.dumps(manifest, indent=1).encode())
        self.copied_bytes += sum(file["bytes"] for file in told.values())

    def _fetch(self, path: Path, address: str, manifest: Any) -> None:
        """Beside its place first: a folder that is there is whole."""
        beside = path.with_name(f".{path.name}-{uuid.uuid4().hex}")

        def fetch(name: str) -> None:
            file = beside / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if not manifest["files"][name]["bytes"]:
                file.touch()
                return
            digest = self._try("read", _download, f"{address}/{name}", file)
            if digest != manifest["files"][name]["sha256"]:
                raise ArtifactStoreError(
                    f"{address}/{name} is not what was copied there: it has {file.stat().st_size:,} bytes, "
                    f"{manifest['files'][name]['bytes']:,} were written, or others of that number."
                )

        try:
            for name in ("", *manifest["directories"]):
                (beside / name).mkdir(parents=True, exist_ok=True)
            with ThreadPoolExecutor(_FILES_AT_ONCE) as pool:
                list(pool.map(fetch, manifest["files"]))
            beside.rename(path)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        self.fetched_bytes += sum(file["bytes"] for file in manifest["files"].values())

    def _manifest(self, address: str, artifact: Artifact) -> Any:
        """What the store says of an artifact; None if it holds no whole copy."""
        content = self._try("read", _read, f"{address}/{MANIFEST}")
        manifest = json.loads(content) if content is not None else None
        if manifest is not None and manifest["created"] != artifact.create_time_since_epoch:
            raise ArtifactStoreError(
                f"{address} holds an artifact of another database: give this pipeline a folder of its own in "
                "`artifacts.store`."
            )
        return manifest

    def _try(self, what: str, do: Callable[..., Any], *arguments: Any) -> Any:
        FileSystems.set_options(PipelineOptions([]))
        try:
            return do(*arguments)
        except ArtifactStoreError:
            raise
        except Exception as error:  # of either cloud's client, each with classes of its own
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise ArtifactStoreError(
                f"`artifacts.store` {self._address} cannot be {what}: {reason}. Credentials come from the environment; "
                "what the steps made is kept, and the next run goes on from there."
            ) from error


def _upload(file: Path, address: str) -> str:
    if not file.stat().st_size:  # which Beam cannot write to S3; the manifest says enough
        return hashlib.sha256().hexdigest()
    with file.open("rb") as source, _created(address) as target:
        return _pour(source, target)


def _download(address: str, file: Path) -> str:
    with _opened(address) as source, file.open("wb") as target:
        digest = _pour(source, target)
        target.flush()
        os.fsync(target.fileno())
    return digest


def _pour(source: BinaryIO, target: BinaryIO) -> str:
    """Copies to the end; gives the SHA-256 of what was copied."""
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def _write(address: str, content: bytes) -> None:
    with _created(address) as target:
        target.write(content)


def _read(address: str) -> bytes | None:
    if not FileSystems.exists(address):
        return None
    with _opened(address) as source:
        return source.read()


# Beam would compress and decompress by a name's ending.
def _created(address: str) -> Any:
    return FileSystems.create(address, compression_type=CompressionTypes.UNCOMPRESSED)


def _opened(address: str) -> Any:
    return FileSystems.open(address, compression_type=CompressionTypes.UNCOMPRESSED)
