"""Object stores on the loopback: servers of S3 and of Google Cloud Storage, and credentials for them."""

import contextlib
import http.server
import json
import logging
import threading

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

BUCKET = "artifacts"
SECRET = "wJalrXUtnFEMI-not-a-key"


@contextlib.contextmanager
def s3(monkeypatch, folder):
    """S3 with an empty bucket; the environment tells clients where it is and who they are."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield f"s3://{BUCKET}/reviews"
    finally:
        server.stop()


@contextlib.contextmanager
def gcs(monkeypatch, folder):
    """Google Cloud Storage with an empty bucket; the environment tells clients where it is and who they are."""
    from gcp_storage_emulator.server import create_server
    from google.cloud import storage

    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
    server = create_server("127.0.0.1", 0, in_memory=True)
    tokens = http.server.HTTPServer(("127.0.0.1", 0), _Tokens)
    threading.Thread(target=tokens.serve_forever, daemon=True).start()
    server.start()
    try:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        account = {
            "type": "service_account",
            "project_id": "shop",
            "client_email": "trainer@shop.example",
            "token_uri": f"http://127.0.0.1:{tokens.server_port}/token",
            "private_key": key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode(),
        }
        file = folder / "account.json"
        file.write_text(json.dumps(account))
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server._api._httpd.server_port}")
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        storage.Client().create_bucket(BUCKET)
        yield f"gs://{BUCKET}/reviews"
    finally:
        server.stop()
        tokens.shutdown()
        tokens.server_close()


class _Tokens(http.server.BaseHTTPRequestHandler):
    """Gives a token to whoever asks."""

    def do_POST(self):
        body = json.dumps({"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass
