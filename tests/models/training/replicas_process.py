"""Run in a process of its own, since TensorFlow's devices are settled at its start: trains once for each job in a file.

A job is the arguments of `run_fn`, and `kill_at`, the step at which a kill ends it; 0: none does.
"""

import json
import logging
import sys
import types

import tensorflow as tf

from models.trainer import run_fn
from models.training import loop


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


class Kill(loop.StopWithoutLoss):
    steps_left = 0

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        Kill.steps_left -= 1
        if not Kill.steps_left:
            raise Killed("at the step")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, force=True)
    with open(sys.argv[1]) as file:
        arguments = json.load(file)
    if arguments["cpus"] > 1:
        (cpu,) = tf.config.list_physical_devices("CPU")
        parts = [tf.config.LogicalDeviceConfiguration()] * arguments["cpus"]
        tf.config.set_logical_device_configuration(cpu, parts)
    loop.StopWithoutLoss = Kill
    for job in arguments["jobs"]:
        Kill.steps_left = job["kill_at"]
        try:
            run_fn(types.SimpleNamespace(**job["fn_args"]))
        except Killed:
            continue
