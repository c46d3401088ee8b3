"""What a SavedModel computes, as one number: equal for two exports of the same model, whatever their bytes.

The bytes of saved_model.pb differ from export to export: names of nodes, functions and shared resources carry
counters and random parts, and their order is free. So the hash is taken over what is served instead, as a Merkle tree:

* a signature is its name, method and the names, types and shapes of its inputs and outputs, and the digests of the
  tensors that it returns;
* a tensor is its operation, the operation's attributes, and the digests of its inputs;
* what else has to run first (checks, say) counts as a set: in which order TensorFlow chains it differs by export;
* a call is the digest of the function's body in place of its name;
* a variable is its value, an asset its content, a constant its value; names stand for nothing;
* of a constant in 64 bits, such as the mean of a number, what 32 bits hold: a sum ends in other digits by the order in
  which Beam comes upon the rows.

Whatever no signature (nor the initialisation) reaches does not count, and neither do devices, shared names and
attributes that begin with `_`, nor anything in `assets.extra` but the class names. Tables are told apart by how they
are initialised as a set, not each at its place of use: swapping two tables of the same types and nothing else would
not be seen.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the operations that the served graph takes from there

CLASSES_FILE = Path("assets.extra", "classes.txt")
IGNORED_ATTRIBUTES = {"shared_name", "container", "config", "config_proto", "executor_type", "debug_name"}
VARIABLE_OPS = {"VarHandleOp"}


def content_hash(model_dir: Path) -> str:
    """Hashes what a SavedModel computes.

    Args:
        model_dir: holds saved_model.pb, variables and assets.

    Returns:
        `sha256:` and 64 hexadecimal digits.
    """
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
        meta_graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(model_dir))
        leaves = {**_variables(graph, session, model_dir), **_assets(meta_graph, model_dir)}
    tree = _Tree(meta_graph.graph_def, leaves)
    signatures = sorted(meta_graph.signature_def.items())
    parts = [_signature(name, signature, tree) for name, signature in signatures]
    classes = model_dir / CLASSES_FILE
    parts.append(classes.read_bytes() if classes.exists() else b"")
    return f"sha256:{_digest(*parts).hex()}"


def _digest(*parts: bytes | str) -> bytes:
    """Hashes parts so that moving a byte from one to the next changes the result."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big"))
        total.update(data)
    return total.digest()


def _variables(graph: tf.Graph, session: tf.compat.v1.Session, model_dir: Path) -> dict[str, bytes]:
    """Node → digest of the variable's value. Some hold the path of an asset, whose content then is the value."""
    handles = {each.name: each for each in graph.get_operations() if each.type in VARIABLE_OPS}
    types = {name: handle.get_attr("dtype") for name, handle in handles.items()}
    reads = {
        name: tf.raw_ops.ReadVariableOp(resource=handle.outputs[0], dtype=types[name])
        for name, handle in handles.items()
    }
    digests = {}
    for name, value in session.run(reads).items():
        dtype = types[name]
        value = np.asarray(value, object if dtype == tf.string else None)
        if dtype == tf.string:
            content = _digest(*(_content_of(each, model_dir) for each in value.ravel()))
        else:
            content = value.tobytes()
        digests[name] = _digest("variable", dtype.name, repr(value.shape), content)
    return digests


def _content_of(text: bytes, model_dir: Path) -> bytes:
    folder = os.fsencode(model_dir / "assets") + b"/"
    return Path(os.fsdecode(text)).read_bytes() if text.startswith(folder) else text


def _assets(meta_graph: Any, model_dir: Path) -> dict[str, bytes]:
    """Node that stands for an asset's path → digest of the asset's content."""
    return {
        asset.tensor_info.name.split(":")[0]: _digest("asset", (model_dir / "assets" / asset.filename).read_bytes())
        for asset in meta_graph.asset_file_def
    }


def _signature(name: str, signature: Any, tree: "_Tree") -> bytes:
    parts: list[bytes | str] = [name, signature.method_name]
    for side in (signature.inputs, signature.outputs):
        for alias, info in sorted(side.items()):
            parts += [alias, str(info.dtype), str(tf.TensorShape(info.tensor_shape))]
    inputs = {info.name.split(":")[0]: _digest("input", alias) for alias, info in signature.inputs.items()}
    outputs = [info.name for _, info in sorted(signature.outputs.items())]
    return _digest(*parts, tree.digest(inputs, outputs))


class _Tree:
    """Digests of what a graph and the functions that it calls compute."""

    def __init__(self, graph_def: Any, leaves: Mapping[str, bytes]):
        self._graph_def = graph_def
        self._leaves = leaves
        self._library = {function.signature.name: function for function in graph_def.library.function}
        self._functions: dict[str, bytes] = {}

    def digest(self, inputs: Mapping[str, bytes], outputs: list[str]) -> bytes:
        """Digest of tensors of the graph; `inputs` are nodes that stand for themselves."""
        return _Nodes(self._graph_def.node, {**self._leaves, **inputs}, self._function).digest(outputs, [])

    def _function(self, name: str) -> bytes:
        if name not in self._functions:
            self._functions[name] = _digest("recursion")
            function = self._library[name]
            inputs = {each.name: _digest("argument", str(i)) for i, each in enumerate(function.signature.input_arg)}
            outputs = [function.ret[each.name] for each in function.signature.output_arg]
            nodes = _Nodes(function.node_def, inputs, self._function)
            self._functions[name] = nodes.digest(outputs, list(function.control_ret.values()))
        return self._functions[name]


class _Nodes:
    """Digests of the nodes of one graph or of one function's body."""

    def __init__(self, nodes: Any, leaves: Mapping[str, bytes], function: Callable[[str], bytes]):
        self._nodes = {node.name: node for node in nodes}
        self._function = function
        self._digests = dict(leaves)

    def digest(self, outputs: list[str], effects: list[str]) -> bytes:
        """Digest of the outputs in their order and of all that has to run for them in any order."""
        reached = self._reach([*outputs, *effects])
        for name in reached:
            self._visit(name)
        return _digest(*map(self._tensor, outputs), "reached", *sorted({self._digests[name] for name in reached}))

    def _reach(self, roots: list[str]) -> list[str]:
        """Names of the nodes that the roots need, by data or by control."""
        found: dict[str, None] = {}
        stack = [_node_of(root) for root in roots]
        while stack:
            name = stack.pop()
            if name not in found:
                found[name] = None
                if name in self._nodes and name not in self._digests:
                    stack += map(_node_of, self._nodes[name].input)
        return list(found)

    def _visit(self, root: str) -> None:
        """Digests a node after its inputs. In a loop, the edge that closes it counts as such."""
        stack, waiting = [root], set()
        while stack:
            name = stack[-1]
            if name in self._digests:
                stack.pop()
                continue
            unknown = [each for each in map(_node_of, self._data(name)) if each not in self._digests]
            if unknown and name not in waiting:
                waiting.add(name)
                stack += reversed([each for each in unknown if each not in waiting])
                continue
            self._digests[name] = self._node(name)
            stack.pop()

    def _data(self, name: str) -> list[str]:
        return [each for each in self._nodes[name].input if not each.startswith("^")]

    def _node(self, name: str) -> bytes:
        node = self._nodes[name]
        attributes = [
            _digest(key, self._attribute(value))
            for key, value in sorted(node.attr.items())
            if not key.startswith("_") and key not in IGNORED_ATTRIBUTES
        ]
        return _digest(node.op, *attributes, "inputs", *map(self._tensor, self._data(name)))

    def _tensor(self, name: str) -> bytes:
        """Digest of `node`, `node:0` or `node:output:0`; the three are the same."""
        output = name.partition(":")[2].removesuffix(":0")
        return _digest(self._digests.get(_node_of(name), b"loop"), "" if output == "0" else output)

    def _attribute(self, value: Any) -> bytes:
        if value.HasField("func"):
            return self._function(value.func.name)
        if value.list.func:
            return _digest(*(self._function(each.name) for each in value.list.func))
        if value.tensor.dtype == tf.float64.as_datatype_enum:
            array = tf.make_ndarray(value.tensor)
            return _digest("float64", repr(array.shape), array.astype(np.float32).tobytes())
        return value.SerializeToString(deterministic=True)


def _node_of(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]
