import pytest
from google.protobuf import text_format
from tensorflow_serving.config import file_system_storage_path_source_pb2

from deploy.serving.status import InvalidArgumentError
from deploy.serving.versions import fingerprint, version_directories, wanted_versions


def policy(text):
    cls = file_system_storage_path_source_pb2.FileSystemStoragePathSourceConfig.ServableVersionPolicy
    return text_format.Parse(text, cls())


def test_only_directories_with_whole_integers_for_names_are_versions(tmp_path):
    for name in ("1", "007", "-3", "1a", ".2", "2.0", "", "99999999999999999999", "tmp-4", "४"):
        (tmp_path / name).mkdir(exist_ok=True)
    (tmp_path / "5").write_text("a file")
    assert version_directories(str(tmp_path), "m") == {
        1: f"{tmp_path}/1",
        7: f"{tmp_path}/007",
        -3: f"{tmp_path}/-3",
    }


def test_a_missing_base_path_is_said(tmp_path):
    with pytest.raises(InvalidArgumentError, match=f"Could not find base path {tmp_path}/none for servable m with"):
        version_directories(f"{tmp_path}/none", "m")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {10}),
        ("latest {}", {10}),
        ("latest { num_versions: 2 }", {9, 10}),
        ("latest { num_versions: 20 }", {1, 9, 10}),
        ("all {}", {1, 9, 10}),
        ("specific { versions: 1 versions: 7 }", {1}),
    ],
)
def test_policies_choose(text, expected):
    assert wanted_versions(policy(text), [10, 1, 9]) == expected


def test_a_fingerprint_changes_with_the_content(tmp_path):
    (tmp_path / "a").write_text("1")
    before = fingerprint(str(tmp_path))
    assert fingerprint(str(tmp_path)) == before
    (tmp_path / "a").write_text("12")
    assert fingerprint(str(tmp_path)) != before
    assert fingerprint(str(tmp_path / "none")) == ()
