"""The peers of `benchmarks.serving`. Runs in an environment of its own.

PEER_PYTHON benchmarks/serving_peer.py onnx FOLDER 2x32,1x1 SECONDS       # ONNX Runtime in process; one line of JSON
PEER_PYTHON benchmarks/serving_peer.py fastapi PRESET MAX_LEN PORT        # PyTorch and transformers behind FastAPI
"""

import json
import sys

import numpy as np
from timed_calls import timed


def onnx(folder, loads, seconds):
    import onnxruntime

    session = onnxruntime.InferenceSession(f"{folder}/network.onnx", providers=["CPUExecutionProvider"])
    rows = dict(np.load(f"{folder}/rows.npz"))
    expected = rows.pop("expected_logits")
    output = next(each.name for each in session.get_outputs() if each.shape[-1] == expected.shape[-1])
    rows = {each.name: rows[each.name.partition(":")[0]] for each in session.get_inputs()}
    difference = float(np.abs(session.run([output], rows)[0] - expected).max())
    found = []
    for load in loads.split(","):
        threads, size = map(int, load.split("x"))
        starts = range(0, max(len(expected), size), size)
        batches = [cut({name: np.take(each, range(start, start + size), 0, mode="wrap") for name, each in rows.items()})
                   for start in starts]  # fmt: skip
        found.append(timed(lambda turn, b=batches: session.run([output], b[turn % len(b)]), threads, seconds))
    print(json.dumps({"difference": difference, "found": found}))


def cut(batch):
    """Leaves out columns that are padding in all rows."""
    widths = {}
    for each in batch.values():
        real = np.flatnonzero(each.any(axis=0))
        widths[each.shape[1]] = max(widths.get(each.shape[1], 1), real[-1] + 1 if len(real) else 1)
    return {name: np.ascontiguousarray(each[:, : widths[each.shape[1]]]) for name, each in batch.items()}


def fastapi(preset, max_len, port):
    import torch
    import uvicorn
    from fastapi import Body, FastAPI
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(preset)
    model = AutoModelForSequenceClassification.from_pretrained(preset, num_labels=2).eval()
    app = FastAPI()

    @app.post("/predict")
    def predict(text: str = Body(embed=True)):
        encoded = tokenizer([text], truncation=True, max_length=max_len + 2, return_tensors="pt")
        with torch.inference_mode():
            probabilities = model(**encoded).logits.softmax(-1)[0].tolist()
        return {"label": str(int(np.argmax(probabilities))), "probabilities": probabilities}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    if sys.argv[1] == "onnx":
        onnx(sys.argv[2], sys.argv[3], float(sys.argv[4]))
    else:
        fastapi(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
