"""How fast a BERT-base trains here, and what share of the device's peak that is.

    python -m benchmarks.encoder_training                                        # on Keras's TensorFlow
    KERAS_BACKEND=jax python -m benchmarks.encoder_training --peak_tflops 989    # an H100's own figure for bfloat16
    python -m benchmarks.encoder_training --layers 2 --hidden_dim 128 --heads 2 --batch_size 8 --precision float32

The layers are the pipeline's own (`BertLayer`, `AttentionPooling`) with weights by chance; of Keras's backends it takes
whichever is there, so an environment with keras, keras-hub, rich and JAX alone will do. Rows are as long as `--tokens`:
nothing is padding. A step is forward, backward, clipping and AdamW; the median of all runs but the first is shown, for
that one compiles. Operations are those of the matrix products, 6 for each of their weights and token, and
12 · layers · hidden_dim · tokens for the attention (Chowdhery et al. 2022, appendix B); embeddings count 0. The peak is
that of a large matrix product in the same precision, measured in the same process, and, if given, the data sheet's.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")

import keras
import numpy as np
from keras import ops
from keras_hub.layers import TokenAndPositionEmbedding
from rich.console import Console
from rich.table import Table

from models.attention.attention_pooling import AttentionPooling
from models.attention.gelu import gelu
from models.encoders.bert_layer import BertLayer

VOCABULARY_SIZE = 30_522
CLASSES = 77
TERA = 1e12


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Tokens per second of a BERT in training, and their share of the peak."
    )
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--hidden_dim", type=int, default=768)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--batch_size", type=int, default=128)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--precision", default="mixed_bfloat16", choices=["mixed_bfloat16", "mixed_float16", "float32"])
    parser.add_argument("--steps", type=int, default=20, help="Of a run.")
    parser.add_argument("--runs", type=int, default=5, help="Medians are taken over so many.")
    parser.add_argument("--peak_size", type=int, default=8192, help="Rows and columns of the matrices for the peak.")
    parser.add_argument("--peak_tflops", type=float, help="What the data sheet says of this precision.")
    arguments = parser.parse_args()
    if arguments.hidden_dim % arguments.heads:
        parser.error(f"--hidden_dim must be a multiple of --heads. Received: {arguments.hidden_dim}, {arguments.heads}")
    if min(arguments.steps, arguments.runs) < 1:
        parser.error(f"--steps and --runs must be 1 or more. Received: {arguments.steps}, {arguments.runs}")
    keras.config.set_dtype_policy(arguments.precision)
    peak = measure_peak(arguments.precision.removeprefix("mixed_"), arguments.peak_size, arguments.runs)
    seconds = measure_step(build(arguments), arguments)
    operations = 3 * forward_operations(arguments)
    show(arguments, seconds, operations, peak)


def build(arguments: argparse.Namespace) -> keras.Model:
    """A BERT with the pipeline's head: int32 `(batch, tokens)` → logits, float32 `(batch, CLASSES)`."""
    token_ids = keras.Input([arguments.tokens], dtype="int32")
    mask = ops.not_equal(token_ids, 0)
    vectors = TokenAndPositionEmbedding(VOCABULARY_SIZE, arguments.tokens, arguments.hidden_dim)(token_ids)
    vectors = keras.layers.LayerNormalization(epsilon=1e-12)(vectors)
    vectors = keras.layers.Dropout(arguments.dropout)(vectors)
    for _ in range(arguments.layers):
        vectors = BertLayer(
            intermediate_dim=4 * arguments.hidden_dim,
            num_heads=arguments.heads,
            activation=gelu,
            dropout=arguments.dropout,
            layer_norm_epsilon=1e-12,
        )(vectors, padding_mask=mask)
    pooled, _ = AttentionPooling(name="attention")(vectors, mask)
    model = keras.Model(token_ids, keras.layers.Dense(CLASSES, dtype="float32", name="logits")(pooled))
    model.compile(
        keras.optimizers.AdamW(2e-5, weight_decay=0.01, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def measure_step(model: keras.Model, arguments: argparse.Namespace) -> float:
    """Seconds of a step: median over the runs."""
    random = np.random.default_rng(0)
    rows = arguments.steps * arguments.batch_size
    token_ids = random.integers(1, VOCABULARY_SIZE, (rows, arguments.tokens), np.int32)
    labels = random.integers(0, CLASSES, rows, np.int32)
    seconds = []
    for _ in range(arguments.runs + 1):
        began = time.perf_counter()
        model.fit(token_ids, labels, arguments.batch_size, verbose=0)  # ends with the loss on the host
        seconds.append((time.perf_counter() - began) / arguments.steps)
    return statistics.median(seconds[1:])


def measure_peak(dtype: str, size: int, runs: int) -> float:
    """Operations per second of a product of two square matrices of random numbers: median over the runs."""
    left, right = (keras.random.normal((size, size), dtype=dtype, seed=seed) for seed in (0, 1))
    products, rates = 10, []
    for _ in range(runs + 1):
        began = time.perf_counter()
        product = left
        for _ in range(products):
            product = ops.matmul(product, right) / size**0.5
        ops.convert_to_numpy(ops.cast(product[0, 0], "float32"))  # waits for the device
        rates.append(products * 2 * size**3 / (time.perf_counter() - began))
    return statistics.median(rates[1:])


def forward_operations(arguments: argparse.Namespace) -> int:
    """Operations of the matrix products for one batch, forward; backward takes twice as many.

    >>> forward_operations(argparse.Namespace(layers=1, hidden_dim=2, batch_size=1, tokens=1))
    112
    """
    hidden = arguments.hidden_dim
    weights = arguments.layers * (4 * hidden**2 + 2 * hidden * 4 * hidden) + hidden**2  # the last of the pooling
    attention = arguments.layers * 2 * hidden * arguments.tokens  # Q K^T and the sum of the values
    return 2 * (weights + attention) * arguments.batch_size * arguments.tokens


def show(arguments: argparse.Namespace, seconds: float, operations: int, peak: float) -> None:
    reached = operations / seconds
    table = Table("", f"{keras.config.backend()}, {arguments.precision}")
    table.add_row("tokens per second", f"{arguments.batch_size * arguments.tokens / seconds:,.0f}")
    table.add_row("step", f"{1e3 * seconds:,.1f} ms")
    table.add_row("TFLOP/s", f"{reached / TERA:,.2f}")
    table.add_row(f"of a matrix product's ({peak / TERA:,.2f})", f"{reached / peak:.0%}")
    if arguments.peak_tflops:
        table.add_row(
            f"of the data sheet's ({arguments.peak_tflops:,.0f})", f"{reached / TERA / arguments.peak_tflops:.0%}"
        )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
