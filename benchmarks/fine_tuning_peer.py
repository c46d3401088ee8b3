"""The peer of `benchmarks.fine_tuning`: PyTorch and transformers' own Trainer. Runs in an environment of its own.

PEER_PYTHON benchmarks/fine_tuning_peer.py JOB.json     # prints one line of JSON
"""

import json
import os
import resource
import sys
import time

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    labels = sorted(set(job["rows"]["train"]["labels"]))
    ids = {label: number for number, label in enumerate(labels)}
    tokenizer = AutoTokenizer.from_pretrained(job["preset"])
    model = AutoModelForSequenceClassification.from_pretrained(job["preset"], num_labels=len(labels))

    def encode(rows):
        padding = "max_length" if job["padding"] == "max_length" else False
        encoded = tokenizer(rows["texts"], truncation=True, max_length=job["max_len"] + 2, padding=padding)
        return [
            {key: encoded[key][row] for key in encoded} | {"labels": ids[label]}
            for row, label in enumerate(rows["labels"])
        ]

    splits = {name: encode(rows) for name, rows in job["rows"].items()}
    options = job["train"]
    arguments = TrainingArguments(
        output_dir=os.path.join(os.path.dirname(sys.argv[1]), "peer"),
        num_train_epochs=options["epochs"],
        per_device_train_batch_size=options["batch_size"],
        per_device_eval_batch_size=256,
        learning_rate=options["learning_rate"],
        weight_decay=options["weight_decay"],
        warmup_steps=options["warmup_ratio"],
        lr_scheduler_type="linear",
        max_grad_norm=options["clip_norm"],
        eval_strategy="epoch",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
        seed=options["seed"],
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=splits["train"],
        eval_dataset=splits["eval"],
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=lambda judged: {"accuracy": accuracy(judged)},
    )
    began = time.monotonic()
    trainer.train()
    seconds = time.monotonic() - began
    predicted = trainer.predict(splits["test"])
    curve = [entry["eval_accuracy"] for entry in trainer.state.log_history if "eval_accuracy" in entry]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"accuracy": accuracy(predicted), "seconds": seconds, "peak_mib": peak, "curve": curve}))


def accuracy(judged):
    """Of what `Trainer` predicted."""
    return float(np.mean(np.argmax(judged.predictions, axis=1) == judged.label_ids))


if __name__ == "__main__":
    main()
