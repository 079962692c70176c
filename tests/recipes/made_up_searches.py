"""Write directories of searches and runs without training anything."""

import csv
import json
import math
import os
import random
import time
from pathlib import Path

from recipes import Recipe
from recipes.recipe import to_json

SPACE = (
    {"class_name": "Choice", "config": {"name": "act", "values": ["relu", "elu", "gelu", "swish"]}},
    {"class_name": "Choice", "config": {"name": "norm", "values": ["batch", "group", "none"]}},
    {"class_name": "Float", "config": {"name": "lr", "min_value": 1e-4, "max_value": 1.0,
                                       "sampling": "log"}},
    {"class_name": "Float", "config": {"name": "weight_decay", "min_value": 1e-6,
                                       "max_value": 1e-2, "sampling": "log"}},
    {"class_name": "Float", "config": {"name": "dropout", "min_value": 0.0, "max_value": 0.5,
                                       "sampling": "linear"}},
    {"class_name": "Choice", "config": {"name": "optimizer", "values": ["sgd", "adamw"]}},
    {"class_name": "Float", "config": {"name": "momentum", "min_value": 0.8, "max_value": 0.99,
                                       "sampling": "linear"}},
)  # fmt: skip
START = 1_790_000_000.0


def curves_of(values, epochs, seed=0):
    """Return the rows of metrics.csv for a learning rate: too low, good, or exploding."""
    chance = random.Random(seed)
    off = abs(math.log10(values.get("lr", 0.03) / 0.03))
    off += {"none": 0.5, "group": 0.15}.get(values.get("norm"), 0) + 0.2 * chance.random()
    rows = []
    for epoch in range(1, epochs + 1):
        loss = 0.04 + 0.25 * off + 2.2 * math.exp(-epoch / (1.5 + 3 * off))
        loss += 0.03 * chance.random()
        if values.get("lr", 0) > 0.7:
            loss = 2.4 * 1.7**epoch
        accuracy = max(0.1, 1 - 0.33 * loss)
        rows.append(
            {"epoch": epoch, "loss": 0.85 * loss, "accuracy": min(1.0, accuracy + 0.01),
             "val_loss": loss, "val_accuracy": accuracy, "lr": values.get("lr", 0.1),
             "seconds": 2.5}
        )  # fmt: skip
    return rows


def write_metrics(folder, rows):
    """Write metrics.csv."""
    with (folder / "metrics.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def write_run(folder, *, epochs=8, done=None, finished=True, seed=0, started=START, **fields):
    """Write a run directory that was trained for `done` of `epochs` epochs; return its score."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(
        **{"model": "lenet5", "data": "digits", "epochs": epochs, "seed": seed} | fields
    )
    about = {"name": folder.name, "recipe": to_json(recipe), "classes": ["a", "b"],
             "sessions": [{"started": _iso(started)}]}  # fmt: skip
    (folder / "recipe.json").write_text(json.dumps(about))
    rows = curves_of(fields, epochs if done is None else done, seed)
    ended = started + sum(row["seconds"] for row in rows)
    if rows:
        write_metrics(folder, rows)
    for file in folder.iterdir():
        os.utime(file, (ended, ended))
    best = max((row["val_accuracy"] for row in rows), default=None)
    if finished:
        result = {"val_accuracy": best, "top1": best - 0.01, "loss": 0.3, "samples": 360,
                  "split": "test", "parameters": 61_706, "seconds": 20.0, "epochs": len(rows),
                  "finished": _iso(ended)}  # fmt: skip
        (folder / "result.json").write_text(json.dumps(result))
    return best


def _iso(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds))


def draw_values(chance):
    """Return random values of SPACE; momentum applies only to SGD."""
    values = {}
    for axis in SPACE:
        config = axis["config"]
        if axis["class_name"] == "Choice":
            values[config["name"]] = chance.choice(config["values"])
        elif config["sampling"] == "log":
            low, high = math.log(config["min_value"]), math.log(config["max_value"])
            values[config["name"]] = math.exp(chance.uniform(low, high))
        else:
            values[config["name"]] = chance.uniform(config["min_value"], config["max_value"])
    if values["optimizer"] != "sgd":
        del values["momentum"]
    return values


def write_search(
    folder: Path, trials: int, *, running=(), failed=(), stopped=(), same=(), waiting=(),
    wanted=None, epochs=8, workers=0, error="its process was killed by signal 9", rename=None,
    logs=True, coarse=0,
) -> Path:  # fmt: skip
    """Write the directory of a search.

    Args:
        folder: the directory.
        trials: number of trials.
        running, failed, stopped, same, waiting: numbers of the trials in these states.
        wanted: requested number of trials. Default: all have been started.
        epochs: epochs of each trial.
        workers: number of workers in workers.json, of a search that is alive.
        error: why trials failed.
        rename: hyperparameter -> another name, such as a very long one.
        logs: whether to write logs.
        coarse: number of trials in the first of two stages; 0 for a search without stages.
    """
    rename = rename or {}
    (folder / "trials").mkdir(parents=True)
    space = [
        {**axis, "config": {**axis["config"], "name": rename.get(n := axis["config"]["name"], n)}}
        for axis in SPACE
    ]
    base = to_json(Recipe(model="lenet5", data="digits", epochs=epochs))
    about = {"recipe": base, "first": base, "tuner": "random", "space": space}
    (folder / "search.json").write_text(json.dumps(about))
    chance, rows, width = random.Random(7), [], len(str(trials - 1))
    now = time.time()
    for i in range(trials):
        trial, values = str(i).zfill(width), draw_values(chance)
        status = next(
            (name for name, numbers in (("running", running), ("failed", failed), ("same", same),
             ("stopped", stopped), ("waiting", waiting)) if i in numbers), "finished"
        )  # fmt: skip
        if status == "stopped":
            values["lr"] = 0.9
        where = folder / "trials" / trial
        known = {n: v for n, v in values.items() if n in ("act", "lr", "optimizer", "momentum")}
        score, done = None, epochs
        if status in ("running", "waiting"):
            done = 1 + i % (epochs - 1)
        elif status in ("failed", "stopped"):
            done = 0 if status == "failed" and i % 2 else 3
        started = (now if workers else START + 86400) - 40 * (trials - i)
        if status != "same":
            score = write_run(where, epochs=epochs, done=done, seed=i, started=started,
                              finished=status == "finished", **known)  # fmt: skip
            if logs:
                text = "".join(f"epoch {e}/{epochs}: loss 1.0\n" for e in range(1, done + 1))
                (folder / "trials" / f"{trial}.log").write_text(text)
        order = {"recipe": base, "run": str(where)} | ({"same_as": "0"} if status == "same" else {})
        (folder / "trials" / f"{trial}.json").write_text(json.dumps(order))
        why = {"failed": error, "stopped": "the loss exploded"}.get(status)
        rows.append(
            {"trial": trial, **({"stage": 1 if i < coarse else 2} if coarse else {}),
             "status": status,
             "score": score if status in ("finished", "stopped") else None,
             **{axis["config"]["name"]: values.get(n) for n, axis in
                ((a["config"]["name"], b) for a, b in zip(SPACE, space, strict=True))},
             "epochs": done, "seconds": 2.5 * done, "error": why,
             "same_as": "0".zfill(width) if status == "same" else None, "run": str(where)}
        )  # fmt: skip
    with (folder / "trials.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    if coarse:
        stages = [
            {"stage": 1, "trials": coarse, "epochs": epochs, "ranges": [], "remarks": []},
            {"stage": 2, "trials": trials - coarse, "epochs": epochs, "ranges": ["act=relu,elu"],
             "remarks": ["the best lr is at the upper end of its range"]},
        ]  # fmt: skip
        (folder / "stages.json").write_text(json.dumps(stages))
    write_importance(folder, [axis["config"]["name"] for axis in space])
    if workers:
        busy = [row["trial"] for row in rows if row["status"] == "running"]
        write_workers(folder, workers, busy, now, wanted=wanted)
    return folder


def write_importance(folder, names):
    """Write importance.csv."""
    shares = [0.5 * 0.55**i for i in range(len(names))]
    order = sorted(names, key=lambda name: (name != "lr", name))
    lines = [f"{n},{s:.4f},{0.25 * s + 0.01:.4f}" for n, s in zip(order, shares, strict=True)]
    text = "\n".join(["hyperparameter,importance,deviation", *lines, ""])
    (folder / "importance.csv").write_text(text)


def write_workers(folder, count, trials, now, ended=False, wanted=None):
    """Write workers.json."""
    staff = []
    for i in range(count):
        trial = trials[i] if i < len(trials) else None
        staff.append(
            {"worker": f"worker-{i + 1}", "host": "localhost", "pid": 4000 + i,
             "state": "training" if trial else "dead" if i == count - 1 else "waiting",
             "trial": trial, "trials": 3 + i, "restarts": int(i == 1),
             "memory": (1 + i) * 700_000_000, "heard": now - i}
        )  # fmt: skip
    about = {"chief": {"host": "localhost", "pid": 3999, "time": now, "wanted": wanted},
             "ended": ended, "workers": staff}  # fmt: skip
    (folder / "workers.json").write_text(json.dumps(about))
