import shutil

import grpc
import pytest
from click.testing import CliRunner

from deploy.serving.client import PredictionClient, tls_credentials
from deploy.serving.client_errors import UnreachableError
from deploy.serving.commands import main
from deploy.serving.ssl_config import server_credentials
from deploy.serving.status import InvalidArgumentError
from tests.deploy.serving.certificates import Authority


@pytest.fixture(scope="module")
def authority():
    return Authority.create()


@pytest.fixture
def files(authority, tmp_path):
    """Paths of the authority's certificate, and of a client's certificate and key."""
    key, certificate = authority.issue("client")
    paths = [tmp_path / name for name in ("ca.pem", "client.pem", "client.key")]
    for path, text in zip(paths, (authority.pem, certificate, key), strict=True):
        path.write_text(text)
    return paths


def config(tmp_path, authority, **more):
    key, certificate = authority.issue("server")
    values = {"server_key": key, "server_cert": certificate} | more
    file = tmp_path / "ssl.config"
    file.write_text("\n".join(f"{name}: {text(value)}" for name, value in values.items()))
    return file


def text(value):
    return str(value).lower() if isinstance(value, bool) else '"' + value.replace("\n", "\\n") + '"'


@pytest.fixture
def secured(start, exported, tmp_path, authority):
    shutil.copytree(exported / "reviews", tmp_path / "reviews" / "1")

    def begin(**more):
        file = config(tmp_path, authority, **more)
        return start(model_name="reviews", model_base_path=str(tmp_path / "reviews"), ssl_config_file=file)

    return begin


def ask(target, credentials=None):
    with PredictionClient(target, "reviews", retries=0, timeout_seconds=5, credentials=credentials) as client:
        return client.predict(["good"])[0].label


def test_tls_answers_those_that_trust_the_authority_and_nobody_else(secured, files):
    server = secured()
    assert ask(server.target, tls_credentials(files[0])) == "yes"
    for credentials in (None, tls_credentials()):
        with pytest.raises(UnreachableError, match="UNAVAILABLE"):
            ask(server.target, credentials)
    arguments = ["predict", "--server", server.target, "--model_name", "reviews", "--ca_file", str(files[0]), "good"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "yes" in result.output


def test_mutual_tls_wants_a_certificate_of_the_authority(secured, files, authority, tmp_path):
    server = secured(custom_ca=authority.pem, client_verify=True)
    assert ask(server.target, tls_credentials(*files)) == "yes"
    with pytest.raises(UnreachableError, match="UNAVAILABLE"):
        ask(server.target, tls_credentials(files[0]))
    key, certificate = Authority.create().issue("stranger")
    strange = [tmp_path / "strange.pem", tmp_path / "strange.key"]
    strange[0].write_text(certificate)
    strange[1].write_text(key)
    with pytest.raises(UnreachableError, match="UNAVAILABLE"):
        ask(server.target, tls_credentials(files[0], *strange))


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"server_key": "/etc/key.pem"}, "`server_key` of .* must be the text of a PEM file, not its path"),
        ({"server_cert": ""}, "`server_cert` of .* must be the text of a PEM file"),
        ({"client_verify": True}, "`client_verify` of .* needs the `custom_ca`"),
        ({"cipher": "x"}, 'has no field named "cipher"'),
    ],
)
def test_a_config_that_lacks_something_is_refused(tmp_path, authority, more, match):
    with pytest.raises(InvalidArgumentError, match=match):
        server_credentials(config(tmp_path, authority, **more))


def test_keys_that_are_none_end_the_start(secured):
    broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    with pytest.raises(OSError, match="gRPC cannot listen on"):
        secured(server_key=broken)


def test_a_certificate_and_its_key_go_together(files):
    with pytest.raises(ValueError, match="`certificate_file` and `key_file` go together"):
        tls_credentials(files[0], certificate_file=files[1])
    assert isinstance(tls_credentials(), grpc.ChannelCredentials)
