"""Labels on one or several servers, step by step, with whatever can come between."""

import json
import shutil
import threading

import pytest

from deploy.serving.client import PredictionClient, PredictionError, tls_credentials
from deploy.serving.model_config_file import ModelConfigFile, RolloutError
from deploy.serving.model_server import LoadError, addresses_of, connect
from deploy.serving.rollout import Rollout, SupersededError
from tests.deploy.serving.certificates import Authority
from tests.deploy.serving.running_server import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def base_path(exported, tmp_path):
    for version, name in enumerate(("reviews", "reviews_biased", "reviews"), start=1):
        shutil.copytree(exported / name, tmp_path / "reviews" / str(version))
    return tmp_path / "reviews"


@pytest.fixture
def file(base_path, tmp_path):
    return ModelConfigFile(tmp_path / "models.config", "reviews", str(base_path))


@pytest.fixture
def rollout(file):
    return lambda *targets: Rollout(file, connect(targets, "reviews", None, 5.0), 10.0)


def labels_of(server):
    return connect([server.target], "reviews", None, 5.0)[0].labels(("stable", "canary", "previous"))


def test_all_servers_get_the_labels_and_keep_only_what_has_one(start, rollout, file, base_path):
    servers = [start(model_name="reviews", model_base_path=str(base_path)) for _ in range(2)]
    move = rollout(*(server.target for server in servers)).move
    move({"stable": 1})
    move({"stable": 1, "canary": 2})
    move({"stable": 2, "previous": 1}, expect={"canary": 2, "stable": 1})
    for server in servers:
        assert labels_of(server) == {"stable": 2, "previous": 1}
        states = server.states("reviews")
        assert {states[1], states[2]} == {"AVAILABLE"}
        wait_until(lambda server=server: server.states("reviews")[3] == "END")
    assert file.labels() == {"previous": 1, "stable": 2}


def test_a_server_that_came_up_alone_is_caught_up_while_the_other_moves_at_once(start, rollout, base_path):
    first, second = (start(model_name="reviews", model_base_path=str(base_path)) for _ in range(2))
    one, both = rollout(first.target), rollout(first.target, second.target)
    one.move({"stable": 1, "previous": 2})
    both.move({"stable": 2})  # the second has only version 3, and no label
    assert labels_of(first) == labels_of(second) == {"stable": 2}


def test_a_server_whose_labels_lag_behind_serves_on_while_it_catches_up(start, rollout, file, base_path):
    server = start(model_name="reviews", model_base_path=str(base_path))
    rollout(server.target).move({"stable": 1})
    file.write(file.with_model([2], {"stable": 2}))
    failures, stop = [], threading.Event()

    def ask():
        with PredictionClient(server.target, "reviews", label="stable", retries=0) as client:
            while not stop.is_set():
                try:
                    client.predict(["good"])
                except PredictionError as error:
                    failures.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    rollout(server.target).move({"stable": 2})
    stop.set()
    asking.join()
    assert (failures, labels_of(server)) == ([], {"stable": 2})


def test_what_fails_on_one_server_is_put_back_on_the_others(start, rollout, file, base_path):
    server = start(model_name="reviews", model_base_path=str(base_path))
    rollout(server.target).move({"stable": 1, "previous": 2})
    before = file.path.read_bytes()
    both = rollout(server.target, "127.0.0.1:9")
    with pytest.raises(RolloutError, match="The server 127.0.0.1:9 could not be told: UNAVAILABLE"):
        both.move({"stable": 2})
    assert labels_of(server) == {"stable": 1, "previous": 2}
    assert file.path.read_bytes() == before
    with pytest.raises(RolloutError, match="UNAVAILABLE"):
        both.move({"stable": 2}, keep_on_failure=True)
    assert labels_of(server) == {"stable": 2}
    assert file.labels() == {"stable": 2}


def test_a_version_that_does_not_load_leaves_file_and_labels_as_they_were(start, rollout, file, base_path):
    server = start(model_name="reviews", model_base_path=str(base_path))
    rollout(server.target).move({"stable": 1})
    (base_path / "2" / "saved_model.pb").write_bytes(b"nothing")
    with pytest.raises(LoadError, match="Version 2 was not loaded by 127.0.0.1"):
        rollout(server.target).move({"stable": 1, "canary": 2})
    assert (file.labels(), labels_of(server)) == ({"stable": 1}, {"stable": 1})
    with pytest.raises(LoadError, match=r"Version 7 was not loaded by .*: not AVAILABLE within 0.5 s"):
        Rollout(file, rollout(server.target).servers, 0.5).move({"stable": 7}, keep_on_failure=True)
    assert (file.labels(), labels_of(server)) == ({"stable": 1}, {"stable": 1})


def test_the_later_command_wins_over_one_that_waits(start, rollout, file, base_path):
    server = start(model_name="reviews", model_base_path=str(base_path))
    rollout(server.target).move({"stable": 1, "previous": 2})
    caught = []

    def wait_for_a_version_that_never_comes():
        try:
            Rollout(file, rollout(server.target).servers, 2.0).move({"stable": 1, "canary": 7})
        except RolloutError as error:
            caught.append(error)

    waiting = threading.Thread(target=wait_for_a_version_that_never_comes)
    waiting.start()
    wait_until(lambda: 7 in file.read().model_config_list.config[0].model_version_policy.specific.versions)
    rollout(server.target).move({"stable": 2})
    waiting.join()
    assert isinstance(caught[0], LoadError)
    assert (file.labels(), labels_of(server)) == ({"stable": 2}, {"stable": 2})  # the later one, not what was before
    with pytest.raises(SupersededError, match=r"{'stable': 1} became {'stable': 2}"):
        rollout(server.target).move({"stable": 3}, expect={"stable": 1})


def test_servers_with_tls_are_told_as_well(start, file, base_path, tmp_path):
    authority = Authority.create()
    key, certificate = (json.dumps(text) for text in authority.issue("server"))
    (tmp_path / "ca.pem").write_text(authority.pem)
    (tmp_path / "ssl.config").write_text(f"server_key: {key} server_cert: {certificate}")
    server = start(model_name="reviews", model_base_path=str(base_path), ssl_config_file=tmp_path / "ssl.config")
    target = server.target.replace("127.0.0.1", "localhost")
    servers = connect([target], "reviews", tls_credentials(tmp_path / "ca.pem"), 5.0)
    Rollout(file, servers, 10.0).move({"stable": 1})
    assert servers[0].labels(["stable", "canary"]) == {"stable": 1}


def test_a_name_may_stand_for_several_servers(monkeypatch):
    def look_up(host, port, *_):
        return [(2, 1, 6, "", (address, int(port))) for address in ("10.0.0.2", "10.0.0.1", "10.0.0.2")]

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    assert addresses_of("pods:8500") == ["10.0.0.1:8500", "10.0.0.2:8500"]
    monkeypatch.undo()
    assert addresses_of("localhost:8500") == ["localhost:8500"]
    assert addresses_of("no.such.host.invalid:1") == ["no.such.host.invalid:1"]
