import gc
import gzip
import json
import shutil

import pytest
from apache_beam.io.filesystems import FileSystems
from ml_metadata.proto.metadata_store_pb2 import Artifact

from pipeline import artifact_store
from pipeline.artifact_store import ArtifactStore
from pipeline.config import ArtifactStoreError, ConfigError
from pipeline.config_groups import ArtifactsConfig
from tests.pipeline import object_stores

pytestmark = pytest.mark.filterwarnings("default")  # of the clouds' own clients


@pytest.fixture(params=["s3", "gcs"])
def address(request, monkeypatch, tmp_path):
    with getattr(object_stores, request.param)(monkeypatch, tmp_path) as address:
        yield address


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "artifacts"


@pytest.fixture
def artifact(folder):
    """One artifact of the kinds of files that steps write."""
    path = folder / "Trainer" / "model" / "7"
    for name in ("Split-train", "Split-eval", "assets/empty"):
        (path / name).mkdir(parents=True)
    (path / "Split-train" / "rows-00000-of-00001.gz").write_bytes(gzip.compress(b"rows" * 999))
    (path / "Split-eval" / "größe 1.txt").write_text("two words")
    (path / "saved_model.pb").write_bytes(bytes(range(256)) * 70_000)  # more than one chunk
    (path / "none").touch()
    return Artifact(id=1, uri=str(path), create_time_since_epoch=1_700_000_000_123)


def contents(path):
    return {
        each.relative_to(path).as_posix(): each.read_bytes() if each.is_file() else None for each in path.rglob("*")
    }


def listed(address):
    return {each.path: each.size_in_bytes for each in FileSystems.match([f"{address}/**"])[0].metadata_list}


def test_what_is_lost_comes_back_byte_by_byte(address, folder, artifact):
    path = folder / "Trainer" / "model" / "7"
    before = contents(path)
    store = ArtifactStore(address, folder)
    store.keep([artifact])
    size = sum(len(content or b"") for content in before.values())
    assert (store.copied_bytes, store.fetched_bytes) == (size, 0)
    objects = listed(address)
    assert objects[f"{address}/Trainer/model/7/saved_model.pb"] == 256 * 70_000
    assert objects[f"{address}/Trainer/model/7/Split-train/rows-00000-of-00001.gz"] == len(
        before["Split-train/rows-00000-of-00001.gz"]
    )

    again = ArtifactStore(address + "/", folder)
    again.keep([artifact])
    assert (again.copied_bytes, again.fetched_bytes) == (0, 0)
    assert listed(address) == objects

    again.restore([artifact])
    assert again.fetched_bytes == 0
    shutil.rmtree(folder)
    again.restore([artifact])
    assert contents(path) == before
    assert [each.name for each in path.parent.iterdir()] == ["7"]
    assert again.fetched_bytes == size
    assert again.told() == f"0.0 MiB copied to {address}, {size / 2**20:.1f} MiB fetched from there"


def test_a_copy_that_was_broken_off_is_none(address, folder, artifact):
    """As after kill -9 before the manifest was written."""
    store = ArtifactStore(address, folder)
    store.keep([artifact])
    FileSystems.delete([f"{address}/Trainer/model/7/manifest.json", f"{address}/Trainer/model/7/saved_model.pb"])
    kept = folder.with_name("elsewhere")
    folder.rename(kept)
    store.restore([artifact])
    assert not folder.exists()
    kept.rename(folder)
    store.keep([artifact])
    assert f"{address}/Trainer/model/7/saved_model.pb" in listed(address)


def test_a_fetch_that_is_broken_off_leaves_nothing(address, folder, artifact, monkeypatch):
    store = ArtifactStore(address, folder)
    store.keep([artifact])
    shutil.rmtree(folder)
    with monkeypatch.context() as patch:
        patch.setattr(artifact_store, "_download", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            store.restore([artifact])
    assert list((folder / "Trainer" / "model").iterdir()) == []


def test_an_object_that_changed_is_refused(address, folder, artifact):
    store = ArtifactStore(address, folder)
    store.keep([artifact])
    with FileSystems.create(f"{address}/Trainer/model/7/saved_model.pb") as file:
        file.write(b"something else")
    shutil.rmtree(folder)
    told = r"/Trainer/model/7/saved_model.pb is not what was copied there: it has 14 bytes, 17,920,000 were written"
    with pytest.raises(ArtifactStoreError, match=told):
        store.restore([artifact])
    assert not (folder / "Trainer" / "model" / "7").exists()


def test_another_databases_artifact_is_left_alone(address, folder, artifact):
    """Numbers begin at 1 in each database."""
    store = ArtifactStore(address, folder)
    store.keep([artifact])
    artifact.create_time_since_epoch += 1
    before = listed(address)
    with pytest.raises(ArtifactStoreError, match=r"7 holds an artifact of another database: give this pipeline a fol"):
        store.keep([artifact])
    assert listed(address) == before


def test_what_lies_elsewhere_is_passed_over(address, folder, artifact, tmp_path):
    artifact.uri = str(tmp_path / "config.yaml")
    store = ArtifactStore(address, folder)
    store.keep([artifact])
    store.restore([artifact])
    assert store.copied_bytes == 0


def test_a_bucket_that_is_not_there_is_one_sentence(address, folder, artifact):
    scheme = address.partition("://")[0]
    with pytest.raises(ArtifactStoreError, match=rf"^`artifacts.store` {scheme}://other/a cannot be \w+: .+ come from"):
        ArtifactStore(f"{scheme}://other/a", folder).keep([artifact])
    assert (folder / "Trainer" / "model" / "7" / "saved_model.pb").exists()
    gc.collect()  # Google's files try once more when they are collected, for minutes if no server is there any more


def test_s3_needs_its_extra(monkeypatch, tmp_path):
    monkeypatch.setattr(artifact_store, "is_here", lambda package: False)
    with pytest.raises(ConfigError, match=r"needs a package that is not here: pip install 'attention-pipeline\[s3\]'"):
        ArtifactStore("s3://bucket/a", tmp_path)
    ArtifactStore("gs://bucket/a", tmp_path)


@pytest.mark.parametrize("store", ["gs://", "/data", "http://host/a", "s3://key:secret@bucket/a", "gs://bucket/a b"])
def test_what_is_no_address_is_refused(store):
    with pytest.raises(ValueError, match="must be gs://BUCKET/FOLDER or s3://BUCKET/FOLDER"):
        ArtifactsConfig(store=store)
    assert json.loads(ArtifactsConfig(store="gs://bucket").model_dump_json()) == {"store": "gs://bucket"}
