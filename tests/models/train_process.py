"""Run in a process of its own, to be killed: trains by the arguments in a JSON file, slowly enough to be caught."""

import json
import sys
import time
import types

from models.trainer import run_fn
from models.training import callbacks

if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        arguments = json.load(file)
    on_train_batch_end = callbacks.KeepState.on_train_batch_end

    def slow(self, batch, logs=None):
        on_train_batch_end(self, batch, logs)
        time.sleep(arguments["seconds_per_step"])

    callbacks.KeepState.on_train_batch_end = slow
    run_fn(types.SimpleNamespace(**arguments["fn_args"]))
