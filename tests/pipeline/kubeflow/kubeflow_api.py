"""A stand-in for the API of Kubeflow Pipelines: keeps what it is told, and holds each body to the API's own models."""

import email.parser
import email.policy
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import kfp_server_api
import yaml

PREFIX = "/apis/v2beta1"
LISTS = {  # path → key of the list, model of an element, key of its id
    "experiments": ("experiments", "V2beta1Experiment", "experiment_id"),
    "pipelines": ("pipelines", "V2beta1Pipeline", "pipeline_id"),
    "runs": ("runs", "V2beta1Run", "run_id"),
    "recurringruns": ("recurringRuns", "V2beta1RecurringRun", "recurring_run_id"),
}


def check_body(body, model):
    """Asserts that a body has nothing but what the model knows, each of its type."""
    if "(" in model or model == "object":
        return
    plain = {"str": str, "bool": bool, "int": int, "datetime": str}
    if model in plain:
        assert isinstance(body, plain[model]), f"{body!r} is no {model}"
        return
    known = getattr(kfp_server_api, model)
    if not known.openapi_types:  # an enum
        assert body in known.allowable_values, f"{body!r} is no {model}"
        return
    types = {known.attribute_map[name]: kind for name, kind in known.openapi_types.items()}
    for key, value in body.items():
        assert key in types, f"{model} has no {key!r}"
        check_body(value, types[key])


class KubeflowApi(ThreadingHTTPServer):
    """Attributes: `kept` (path → what was created, by id), `versions`, `tokens`, `faults`, `refusal` (status, body)."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kept = {path: {} for path in LISTS}
        self.versions, self.tokens, self.faults = {}, set(), []
        self.refusal = None

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def kubeflow_api():
    server = KubeflowApi()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: KubeflowApi

    def _handle(self):
        self.server.tokens.add(self.headers.get("Authorization"))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.refusal is not None:
            self._answer(*self.server.refusal)
            return
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        assert url.path.startswith(PREFIX), self.path
        parts = url.path.removeprefix(PREFIX).strip("/").split("/")
        try:
            self._answer(200, self._result(self.command, parts, query, body))
        except (AssertionError, KeyError, ValueError, AttributeError, TypeError) as error:
            self.server.faults.append(repr(error))
            self._answer(500, {"message": repr(error)})

    do_GET = do_POST = do_DELETE = _handle  # noqa: N815

    def _result(self, method, parts, query, body):
        wanted = None
        if "filter" in query:
            (predicate,) = json.loads(query["filter"])["predicates"]
            assert (predicate["operation"], predicate["key"]) == ("EQUALS", "display_name")
            wanted = predicate["stringValue"]

        def those(kept):
            return [each for each in kept.values() if each["display_name"] == wanted]

        if parts == ["pipelines", "upload_version"]:
            return self._upload(query, body)
        match parts:
            case ["pipelines", pipeline_id, "versions"]:
                assert pipeline_id in self.server.kept["pipelines"]
                return {"pipeline_versions": those(self.server.versions)}
            case [path] if method == "GET":
                return {LISTS[path][0]: those(self.server.kept[path])}
            case [path]:
                _, model, key = LISTS[path]
                told = json.loads(body)
                check_body(told, model)
                created = told | {key: f"{path}-{len(self.server.kept[path]) + 1}"}
                self.server.kept[path][created[key]] = created
                return created
            case [path, identity] if method == "DELETE":
                del self.server.kept[path][identity]
                return {}
        raise AssertionError(f"{method} {parts}")

    def _upload(self, query, body):
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
        (part,) = message.iter_parts()
        version = {
            "pipeline_id": query["pipelineid"],
            "pipeline_version_id": f"version-{len(self.server.versions) + 1}",
            "display_name": query["name"],
        }
        assert version["pipeline_id"] in self.server.kept["pipelines"]
        documents = list(yaml.safe_load_all(part.get_payload(decode=True)))
        self.server.versions[version["pipeline_version_id"]] = version | {"documents": documents}
        return version

    def _answer(self, status, body):
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if isinstance(body, str) else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass
