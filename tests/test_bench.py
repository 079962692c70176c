"""tools/bench runs end to end, and reports wrong arguments in one line."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import processes

TOOLS = Path(__file__).parents[1] / "tools"


def bench(*words, cwd=None):
    """Run `tools/bench models` with this Python."""
    command = [sys.executable, TOOLS / "benchmarks" / "models.py", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600)


def tool(*words, cwd):
    """Run tools/bench as from the shell."""
    command = [TOOLS / "bench", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600)


@pytest.mark.full
def test_quick_prints_a_table_and_writes_a_csv(tmp_path):
    done = bench(
        "--quick",
        "--models",
        "mobilenet_v1",
        "toy_resnet",
        "--only",
        "train",
        "build",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    with (tmp_path / "build" / "bench" / "models.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["network"], r["measure"], r["against"]) for r in rows] == [
        ("mobilenet_v1", "build", "keras.applications"),
        ("mobilenet_v1", "train", "keras.applications"),
        ("toy_resnet", "train", "keras_groups"),
    ]
    printed = [line.split() for line in done.stdout.splitlines()]
    for row in rows:
        ours, theirs, ratio = (float(row[name]) for name in ("ours_ms", "theirs_ms", "ratio"))
        low, high = float(row["ratio_q1"]), float(row["ratio_q3"])
        assert 0 < low <= ratio <= high
        assert float(row["cpu_ratio"]) > 0
        # `ratio` is the median over rounds; it need not equal the ratio of the medians.
        assert ours > 0
        assert theirs > 0
        if row["measure"] == "train":
            speed = 1000 * int(row["batch"]) / ours
            assert float(row["ours_images_s"]) == pytest.approx(speed, rel=0.01)
        else:
            assert row["ours_images_s"] == ""
        assert row["met"] == (
            "" if not row["aim"] else "yes" if ratio >= float(row["aim"]) else "no"
        )
        for name in ("cpu", "threads", "tensorflow", "keras", "date"):
            assert row[name]
        line = next(
            words
            for words in printed
            if words[:3] == [row["network"], row["measure"], row["against"]]
        )
        assert f"{ratio:.2f}" in line


def test_networks_that_differ_are_rejected(tmp_path):
    program = f"""
import sys
sys.path.insert(0, {str(TOOLS / "benchmarks")!r})
import models, pairs
pairs.QUICK["mobilenet_v1"].options["multiplier"] = 0.5
sys.exit(models.main("--quick --models mobilenet_v1 --only build".split()))
"""
    environment = {**os.environ, "PYTHONPATH": str(TOOLS.parent)}
    done = processes.run([sys.executable, "-c", program], cwd=tmp_path, env=environment)
    assert done.returncode == 1
    assert "they are not the same network" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.quick
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--models", "resnet5"], "unknown model 'resnet5'; did you mean 'resnet50'?"),
        (["--only", "trian"], "did you mean 'train'?"),
        (["--rounds", "1"], "--rounds=1: must be at least 2"),
        (["--size", "big"], "--size: invalid int value: 'big'"),
        (["--sise", "32"], "unrecognized arguments: --sise"),
    ],
)
def test_a_wrong_flag_of_models_is_a_one_line_error(words, message, tmp_path):
    done = bench(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.quick
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["memory", "--models", "resnet5"], "unknown model 'resnet5'; did you mean 'resnet50'?"),
        (
            ["memory", "--batch", "6"],
            "--batch=6: cannot be split into 4 equal parts; choose a multiple of 4",
        ),
        (["data", "--torch", "nowhere/python"], "--torch=nowhere/python: file not found"),
        (["data", "--rounds", "few"], "--rounds: invalid int value: 'few'"),
        (["data", "--rounds", "0"], "--rounds=0: must be at least 1"),
        (["data", "--images", "120"], "--images=120: must be a positive multiple of 50"),
        (["data", "--images", "0"], "--images=0: must be a positive multiple of 50"),
        (
            ["data", "--only", "color", "jiter"],
            "--only='jiter': no pipeline has this in its name; valid are ",
        ),
    ],
)
def test_a_wrong_flag_of_another_benchmark_is_a_one_line_error(words, message, tmp_path):
    done = tool(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.full
def test_pipelines_are_compared_with_decoding(tmp_path):
    """--only never excludes decoding, because speeds are given as fractions of its speed."""
    words = ["data", "--only", "ours: crop", "--images", "50", "--rounds", "1"]
    done = tool(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "build/bench/data.csv").open()))
    assert [row["pipeline"] for row in rows] == [
        "decode and crop alone", "ours: crop, flip, normalize"
    ]  # fmt: skip
    ours, decoding = (float(row["images_per_s_core"]) for row in reversed(rows))
    assert float(rows[1]["of_decoding"]) == pytest.approx(ours / decoding, rel=0.02)


@pytest.mark.quick
def test_decoding_is_always_measured_and_speeds_are_fractions_of_its_speed():
    program = (
        "import data\n"
        "found = data.selected([*data.OURS], ['color', 'ours: crop'])\n"
        "assert found == [data.DECODING, 'ours: crop, flip, normalize', 'ours: color jitter',"
        " 'keras color jitter'], found\n"
        "assert data.selected([*data.OURS], ['']) == [*data.OURS]\n"
        "used = {'ours: color jitter': [(4.0, 4.0)], data.DECODING: [(1.0, 2.0)]}\n"
        "assert [row['of_decoding'] for row in data.table(used)] == [0.25, 1.0]\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=TOOLS / "benchmarks", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.full
def test_memory_is_measured_with_recompute_and_with_accumulate(tmp_path):
    words = ["memory", "--models", "resnet20", "--size", "32", "--batch", "512"]
    done = tool(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = {r["way"]: r for r in csv.DictReader((tmp_path / "build/bench/memory.csv").open())}
    plain = float(rows.pop("plain")["peak_mb"])
    assert set(rows) == {"recompute", "accumulate"}
    assert all(float(r["peak_mb"]) < 0.8 * plain for r in rows.values())


@pytest.mark.quick
def test_an_unknown_benchmark_is_an_error_that_lists_all():
    done = subprocess.run([TOOLS / "bench", "model"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    names = "models, data, memory, scale, tune, accelerator or page"
    assert done.stderr == f"bench: model: not a benchmark; choose {names}\n"


@pytest.mark.quick
def test_the_page_of_measured_speeds_is_up_to_date():
    program = (
        "import csv, sys; import page\n"
        "tables = [list(csv.DictReader(p.open())) if p.exists() else []"
        " for p in (page.TABLE, page.PIPELINES, page.MEMORY, page.GPU)]\n"
        "assert page.PAGE.read_text() == page.page(*tables), 'run tools/bench page'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=TOOLS / "benchmarks", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.full
def test_accelerator_compares_our_networks_with_keras_applications_on_jax(tmp_path):
    pytest.importorskip("jax")
    command = [sys.executable, TOOLS / "benchmarks" / "accelerator.py", "--models", "mobilenet_v2"]
    small = ["--measures", "predict", "--batch", "2", "--size", "32", "--rounds", "2"]
    done = subprocess.run(
        [*command, *small, "--dtype", "float32"],
        cwd=tmp_path, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with (tmp_path / "build" / "bench" / "accelerator.csv").open(newline="") as file:
        rows = {row["side"]: row for row in csv.DictReader(file)}
    ours = "zoo, as keras.applications (JAX)"
    assert {ours, "keras.applications (JAX)"} <= set(rows)
    assert float(rows[ours]["ratio"]) == 1
    theirs = rows["keras.applications (JAX)"]
    ratio = float(theirs["ms"]) / float(rows[ours]["ms"])
    assert float(theirs["ratio"]) == pytest.approx(ratio, rel=0.5)


@pytest.mark.full
def test_backends_are_compared_with_tensorflow(tmp_path):
    pytest.importorskip("jax")

    def backends(*words, **environment):
        return subprocess.run(
            [sys.executable, TOOLS / "backends", *words],
            env={**os.environ, **environment}, capture_output=True, text=True, timeout=600,
        )  # fmt: skip

    done = backends("record", tmp_path)
    assert done.returncode == 0, done.stderr
    check = ("check", tmp_path, "--part", "0/12", "--policies")
    done = backends(*check, KERAS_BACKEND="jax")
    assert done.returncode == 0, done.stdout
    assert "0 cases failed" in done.stdout
    # Weights that differ from the recorded ones are detected.
    with np.load(tmp_path / "0.npz") as file:
        weights = [file[name] * 1.1 for name in file.files]
    np.savez(tmp_path / "0.npz", *weights)
    done = backends(*check, KERAS_BACKEND="jax")
    assert done.returncode == 1
    assert "1 case failed" in done.stdout


def scale(*words, cwd):
    command = [sys.executable, TOOLS / "benchmarks" / "scale.py", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600)


def test_scale_calculates_a_ring_all_reduce(tmp_path):
    done = scale(
        "--only=calculate", "--host_model=lenet5", "--step_ms=2", "--gbit_s", "8",
        "--latency_us=100", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "calculated, not measured: lenet5" in done.stdout
    path = tmp_path / "build" / "bench" / "scale-calculated.csv"
    with path.open(newline="") as file:
        rows = {int(row["hosts"]): row for row in csv.DictReader(file)}
    assert list(rows) == [2**k for k in range(11)]
    assert float(rows[1]["step_ms"]) == 2
    assert float(rows[1]["efficiency"]) == 1
    # LeNet-5 has 61,706 parameters, 246,824 bytes of gradients, 1e9 bytes a second: two
    # messages of half the bytes each, and the same for 16 bytes of metrics.
    expected = 2 + 2 * (0.1 + 0.246824 / 2) + 2 * (0.1 + 16e-6 / 2)
    assert float(rows[2]["step_ms"]) == pytest.approx(expected, abs=0.01)
    assert float(rows[2]["efficiency"]) == pytest.approx(2 / expected, abs=1e-3)
    times = [float(row["step_ms"]) for row in rows.values()]
    assert times == sorted(times)


@pytest.mark.full
def test_scale_measures_processes_and_replicas(tmp_path):
    done = scale(
        "--only=measure", "--model=toy_lenet", "--size=24", "--batch=8", "--steps=3", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    with (tmp_path / "build" / "bench" / "scale.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    ways = [(row["way"], int(row["count"])) for row in rows]
    assert ways == [
        ("processes", 1), ("processes", 2), ("replicas", 2), ("processes", 4), ("replicas", 4)
    ]  # fmt: skip
    for row in rows:
        assert float(row["images_s"]) == pytest.approx(8000 / float(row["step_ms"]), rel=0.01)
    assert float(rows[0]["efficiency"]) == 1


def test_wrong_flags_of_scale_are_errors_in_one_line(tmp_path):
    for words, message in (
        (["--batch=6"], "--batch=6: must be divisible by 4"),
        (["--model=resnet21"], "resnet21"),
    ):
        done = scale(*words, cwd=tmp_path)
        assert done.returncode == 2
        assert message in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.full
def test_a_search_is_compared_with_a_loop_over_its_trials(tmp_path):
    words = ("--recipe=digits/mlp", "--trials=2", "--epochs=1", "--space", "lr=0.1,0.2")
    command = [sys.executable, TOOLS / "benchmarks" / "tune.py", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "build" / "bench" / "tune.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["way"], row["workers"]) for row in rows] == [
        ("loop", "1"), ("tune", "1"), ("tune", "2")
    ]  # fmt: skip
    assert float(rows[0]["overhead"]) == 0
    for row in rows[1:]:
        ratio = float(row["seconds"]) / float(rows[0]["seconds"])
        assert float(row["overhead"]) == pytest.approx(ratio - 1, abs=0.01)
