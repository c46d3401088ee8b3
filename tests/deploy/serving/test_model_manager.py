"""Versions come, change, fail and go while the server serves."""

import shutil
import threading
import time

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2

from deploy.serving.status import ServingError
from tests.deploy.serving.grpc_requests import good, predict_request, refused
from tests.deploy.serving.running_server import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def base_path(tmp_path, exported):
    """Version 1 of `reviews`."""
    shutil.copytree(exported / "reviews", tmp_path / "reviews" / "1")
    return tmp_path / "reviews"


def push(source, base_path, version):
    """As the pusher does it: aside first, then one rename."""
    aside = base_path / f".pushing-{version}"
    shutil.copytree(source, aside)
    aside.rename(base_path / str(version))


def answering_version(server, spec="name: 'reviews'"):
    return server.predictions.Predict(predict_request(spec, **good())).model_spec.version.value


def statuses(server, name="reviews"):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = name
    return {entry.version: entry for entry in server.models.GetModelStatus(request).model_version_status}


def reload(server, text):
    request = model_management_pb2.ReloadConfigRequest()
    text_format.Parse(text, request.config)
    return server.models.HandleReloadConfigRequest(request, timeout=30)


def config(path, more="", name="reviews"):
    entry = f"name: '{name}' base_path: '{path}' model_platform: 'tensorflow' {more}"
    return f"model_config_list {{ config {{ {entry} }} }}"


def test_a_new_version_takes_over_under_load_without_a_failed_request(start, base_path, exported):
    server = start(model_name="reviews", model_base_path=str(base_path))
    answers, failures, stop = [], [], threading.Event()

    def ask():
        while not stop.is_set():
            try:
                answers.append(answering_version(server))
            except grpc.RpcError as error:
                failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for version in (2, 3, 4):
        push(exported / ("reviews_biased" if version % 2 == 0 else "reviews"), base_path, version)
        wait_until(lambda version=version: answers and answers[-1] == version)
    wait_until(lambda: server.states("reviews") == {1: "END", 2: "END", 3: "END", 4: "AVAILABLE"})
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert set(answers) == {1, 2, 3, 4}


def test_deleting_the_newest_version_rolls_back(start, base_path, exported):
    push(exported / "reviews_biased", base_path, 2)
    server = start(model_name="reviews", model_base_path=str(base_path))
    assert server.states("reviews") == {2: "AVAILABLE"}
    shutil.rmtree(base_path / "2")
    wait_until(lambda: server.states("reviews") == {1: "AVAILABLE", 2: "END"})
    assert answering_version(server) == 1


def test_a_base_path_that_goes_away_for_a_moment_unloads_nothing(start, base_path):
    server = start(model_name="reviews", model_base_path=str(base_path))
    base_path.rename(base_path.with_name("gone"))
    time.sleep(0.3)
    assert answering_version(server) == 1
    base_path.with_name("gone").rename(base_path)
    time.sleep(0.2)
    assert server.states("reviews") == {1: "AVAILABLE"}


def no_graph(version):
    (version / "saved_model.pb").unlink()


def cut_graph(version):
    graph = version / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[: graph.stat().st_size // 2])


def foreign_graph(version):
    (version / "saved_model.pb").write_bytes(b"a picture of a cat")


def no_variables(version):
    shutil.rmtree(version / "variables")


def cut_variables(version):
    data = next((version / "variables").glob("*.data*"))
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])


def bad_warmup(version):
    (version / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"no records" * 10)


def failing_warmup(version):
    from tests.deploy.serving.saved_models import write_warmup

    write_warmup(version, predict_request("name: 'reviews' signature_name: 'X'", **good()))


@pytest.mark.parametrize(
    ("damage", "code", "words"),
    [
        (no_graph, 5, "Could not find SavedModel .pb or .pbtxt at supplied export directory path"),
        (cut_graph, 3, "cannot be loaded"),
        (foreign_graph, 3, "cannot be loaded"),
        (no_variables, None, "variables"),
        (cut_variables, None, ""),
        (bad_warmup, 15, "Please verify your warmup data is in TFRecord format."),
        (failing_warmup, 9, 'Serving signature key "X" not found.'),
    ],
)
def test_a_damaged_version_is_refused_with_a_reason_and_the_old_one_serves(
    start, base_path, exported, damage, code, words
):
    server = start(model_name="reviews", model_base_path=str(base_path))
    broken = base_path / ".broken"
    shutil.copytree(exported / "reviews_biased", broken)
    damage(broken)
    broken.rename(base_path / "2")
    wait_until(lambda: server.states("reviews").get(2) == "END")
    status = statuses(server)[2].status
    assert status.error_code
    assert code is None or status.error_code == code
    assert words in status.error_message
    assert answering_version(server) == 1
    assert server.states("reviews") == {1: "AVAILABLE", 2: "END"}


def test_a_copy_that_is_finished_later_is_taken(start, base_path, exported):
    server = start(
        model_name="reviews",
        model_base_path=str(base_path),
        max_num_load_retries=5,
        load_retry_interval_micros=3_600_000_000,
    )
    (base_path / "2").mkdir()
    wait_until(lambda: server.states("reviews").get(2) == "LOADING")
    wait_until(lambda: statuses(server)[2].status.error_code == 5)
    shutil.copytree(exported / "reviews_biased", base_path / "2", dirs_exist_ok=True)
    wait_until(lambda: server.states("reviews") == {1: "END", 2: "AVAILABLE"})
    assert answering_version(server) == 2


def test_a_version_that_failed_for_good_is_tried_again_once_it_changed(start, base_path, exported):
    server = start(model_name="reviews", model_base_path=str(base_path))
    (base_path / "2").mkdir()
    wait_until(lambda: server.states("reviews").get(2) == "END")
    push(exported / "reviews_biased", base_path, 20)
    shutil.rmtree(base_path / "2")
    (base_path / "20").rename(base_path / "2")
    wait_until(lambda: server.states("reviews").get(2) == "AVAILABLE")


def test_labels_and_policies_change_by_reload(start, base_path, exported):
    push(exported / "reviews_biased", base_path, 2)
    server = start(model_name="reviews", model_base_path=str(base_path))
    both = "model_version_policy { specific { versions: 1 versions: 2 } }"
    reload(server, config(base_path, both))
    wait_until(lambda: server.states("reviews") == {1: "AVAILABLE", 2: "AVAILABLE"})
    labels = both + " version_labels { key: 'stable' value: %d } version_labels { key: 'canary' value: 2 }"
    response = reload(server, config(base_path, labels % 1))
    assert (response.status.error_code, response.status.error_message) == (0, "")
    assert answering_version(server, "name: 'reviews' version_label: 'stable'") == 1
    reload(server, config(base_path, labels % 2))
    assert answering_version(server, "name: 'reviews' version_label: 'stable'") == 2
    with pytest.raises(grpc.RpcError, match="which is not currently available for inference"):
        reload(server, config(base_path, labels % 3))
    assert answering_version(server, "name: 'reviews' version_label: 'stable'") == 2


def test_a_model_that_is_no_longer_listed_is_unloaded_and_may_come_back(start, base_path, exported, tmp_path):
    shutil.copytree(exported / "numbers", tmp_path / "numbers" / "5")
    server = start(model_name="reviews", model_base_path=str(base_path))
    reload(server, config(tmp_path / "numbers", name="numbers"))
    assert server.states("numbers") == {5: "AVAILABLE"}
    wait_until(lambda: server.states("reviews") == {1: "END"})
    assert refused(server.predictions.Predict, predict_request(**good())) == (
        "NOT_FOUND",
        "Servable not found for request: Latest(reviews)",
    )
    reload(server, config(base_path))
    assert answering_version(server) == 1


def test_a_reload_whose_model_does_not_come_up_says_so(start, base_path, tmp_path):
    server = start(model_name="reviews", model_base_path=str(base_path))
    (tmp_path / "empty").mkdir()
    both = config(base_path).removesuffix("}") + config(tmp_path / "none", name="m").removeprefix("model_config_list {")
    request = model_management_pb2.ReloadConfigRequest()
    text_format.Parse(both, request.config)
    code, text = refused(server.models.HandleReloadConfigRequest, request)
    assert code == "UNKNOWN"
    assert text.startswith("1 model(s) did not become available: {{{name: m} due to error: INVALID_ARGUMENT: Could not")
    assert answering_version(server) == 1
    (tmp_path / "m" / "1").mkdir(parents=True)
    request.Clear()
    text_format.Parse(config(tmp_path / "m", name="m2"), request.config)
    code, text = refused(server.models.HandleReloadConfigRequest, request)
    assert code == "UNKNOWN"
    assert "available: {{{name: m2 version: 1} due to error: NOT_FOUND: Could not find SavedModel .pb" in text


def test_a_server_whose_only_version_is_damaged_does_not_start(start, base_path):
    no_graph(base_path / "1")
    with pytest.raises(ServingError, match=r"1 model\(s\) did not become available"):
        start(model_name="reviews", model_base_path=str(base_path))


def test_the_config_file_is_polled(start, base_path, exported, tmp_path):
    shutil.copytree(exported / "numbers", tmp_path / "numbers" / "5")
    file = tmp_path / "models.config"
    file.write_text(config(base_path))
    server = start(model_config_file=file, model_config_file_poll_wait_seconds=0.05)
    file.write_text("no config")
    time.sleep(0.2)
    assert answering_version(server) == 1
    file.write_text(config(tmp_path / "numbers", name="numbers"))
    wait_until(lambda: server.states("numbers") == {5: "AVAILABLE"})


def test_memory_returns_after_many_changes(start, base_path, exported):
    """Forty megabytes a version: five leaked ones would show."""
    psutil = pytest.importorskip("psutil")
    from tests.deploy.serving.saved_models import export_reviews

    export_reviews(base_path.parent / "large", weights=10_000_000)
    server = start(model_name="reviews", model_base_path=str(base_path))
    process, sizes, threads = psutil.Process(), [], []
    for version in range(2, 14):
        push(base_path.parent / "large", base_path, version)
        wait_until(
            lambda version=version: (
                server.states("reviews") == dict.fromkeys(range(1, version), "END") | {version: "AVAILABLE"}
            )
        )
        assert answering_version(server) == version
        shutil.rmtree(base_path / str(version - 1))
        sizes.append(process.memory_info().rss / 1e6)
        threads.append(process.num_threads())
    assert max(sizes[6:]) - max(sizes[:6]) < 60
    assert max(threads[6:]) <= max(threads[:6]) + 2
