"""Clusters that environment variables describe, and strategies by name."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from recipes.distribution import cluster, keras_fix, slurm, strategies
from recipes.distribution.cluster import Cluster

pytestmark = pytest.mark.quick
TWO = {"worker": ["a:1", "b:2"]}


def config(tasks, kind="worker", index=0):
    return json.dumps({"cluster": tasks, "task": {"type": kind, "index": index}})


def environment(text):
    return cluster.from_environment({"TF_CONFIG": text})


def test_tf_config_names_the_workers():
    assert environment(config(TWO)) == Cluster(("a:1", "b:2"), 0)
    assert environment(config(TWO, index=1)) == Cluster(("a:1", "b:2"), 1)
    assert environment(config(TWO, index="1")).index == 1  # as some services write it
    assert environment(cluster.tf_config(("a:1", "b:2", "c:3"), 2)) == Cluster(
        ("a:1", "b:2", "c:3"), 2
    )
    assert environment(config({"worker": ["[::1]:5000", "10.0.0.2:5000"]})).count == 2


def test_a_task_of_type_chief_is_the_first_worker():
    tasks = {"chief": ["c:1"], "worker": ["a:1", "b:2"]}
    assert environment(config(tasks, "chief")) == Cluster(("c:1", "a:1", "b:2"), 0)
    assert environment(config(tasks, "worker", 1)) == Cluster(("c:1", "a:1", "b:2"), 2)


def test_one_worker_is_no_cluster():
    assert environment(config({"worker": ["a:1"]})) is None
    assert environment(config({"chief": ["a:1"]}, "chief")) is None
    assert cluster.from_environment({}) is None
    assert cluster.from_environment({"TF_CONFIG": ""}) is None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "not valid JSON"),
        ("[]", "must be an object"),
        (config({"ps": ["a:1"], "worker": ["b:1"]}), "tasks of type 'ps' are not supported"),
        (config({"worker": ["a"]}), "the address 'a' must be host:port"),
        (config({"worker": ["a:70000"]}), "must be host:port"),
        (config({"worker": [7]}), "the address 7 must be host:port"),
        (config({"worker": "a:1"}), '"worker" must be a list'),
        (config({"chief": ["a:1", "b:1"]}), '"chief" a list of one'),
        (config({}), "lists no workers"),
        (config({"worker": ["a:1", "a:1"]}), "two workers have the same address"),
        (config(TWO, index=2), 'which "cluster" does not list'),
        (config(TWO, index=-1), 'which "cluster" does not list'),
        (config(TWO, index=True), 'which "cluster" does not list'),
        (config(TWO, kind="evaluator"), 'which "cluster" does not list'),
        (json.dumps({"cluster": TWO}), 'which "cluster" does not list'),
    ],
)
def test_an_invalid_tf_config_is_an_error(text, what):
    with pytest.raises(ValueError, match="TF_CONFIG=") as error:
        environment(text)
    assert what in str(error.value)


# In the form that the documentation of srun describes, shortened to what is read.
RECORDED = {
    "SLURM_JOB_ID": "4711",
    "SLURM_NTASKS": "5",
    "SLURM_PROCID": "3",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NODELIST": "node[01-03,7]",
    "SLURM_STEP_NUM_TASKS": "5",
    "SLURM_STEP_TASKS_PER_NODE": "2,1(x3)",
}


def test_a_job_step_of_slurm_names_the_workers():
    found = cluster.from_environment(RECORDED)
    assert found.index == 3
    hosts, ports = zip(*(address.split(":") for address in found.addresses), strict=True)
    assert hosts == ("node01", "node01", "node02", "node03", "node7")
    first = int(ports[0])
    assert [int(port) - first for port in ports] == [0, 1, 0, 0, 0]
    assert 12_000 <= first < 30_000
    other = cluster.from_environment(RECORDED | {"SLURM_STEP_ID": "1"})
    assert other.addresses[0] != found.addresses[0]
    given = cluster.from_environment(RECORDED | {"RECIPES_PORT": "5000"})
    assert given.addresses[:3] == ("node01:5000", "node01:5001", "node02:5000")


def test_slurm_without_srun_is_no_cluster():
    """In the script of sbatch and the shell of salloc, only one process runs."""
    batch = {"SLURM_JOB_ID": "4711", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}
    assert cluster.from_environment(batch) is None
    alone = {"SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_TASKS_PER_NODE": "1"}
    assert cluster.from_environment(RECORDED | alone | {
        "SLURM_STEP_NODELIST": "n1", "SLURM_PROCID": "0"
    }) is None  # fmt: skip
    assert environment(config(TWO)).count == 2  # TF_CONFIG comes first


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"SLURM_STEP_TASKS_PER_NODE": "2(x4)"}, "SLURM_STEP_NUM_TASKS='5': does not agree"),
        ({"SLURM_STEP_TASKS_PER_NODE": "x"}, "does not agree"),
        ({"SLURM_STEP_NODELIST": "node[01-02]"}, "does not agree"),
        ({"SLURM_PROCID": "5"}, "SLURM_PROCID='5'"),
        ({"RECIPES_PORT": "http"}, "RECIPES_PORT='http'"),
        ({"SLURM_DISTRIBUTION": "cyclic"}, "--distribution=block"),
    ],
)
def test_variables_of_slurm_that_contradict_each_other_are_an_error(change, what):
    with pytest.raises(ValueError, match=r"SLURM|RECIPES") as error:
        cluster.from_environment(RECORDED | change)
    assert what in str(error.value)


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("login", ["login"]),
        ("node[01-03,7]", ["node01", "node02", "node03", "node7"]),
        ("node[098-101],login", ["node098", "node099", "node100", "node101", "login"]),
        ("a[1-2]b[3,5]", ["a1b3", "a1b5", "a2b3", "a2b5"]),
        ("gpu-a1,gpu-a2", ["gpu-a1", "gpu-a2"]),
        ("n[1].example.org", ["n1.example.org"]),
        ("", []),
    ],
)
def test_node_lists_are_expanded(text, nodes):
    """As `scontrol show hostnames` does."""
    assert slurm.expand_nodes(text) == nodes


def test_the_environment_chooses_the_cluster_of_a_strategy(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", config(TWO, index=1))
    assert strategies.cluster_for("auto").index == 1
    assert strategies.cluster_for("multiworker").index == 1
    assert strategies.cluster_for("one") is None
    assert strategies.cluster_for("mirrored:2") is None
    with pytest.raises(ValueError, match="only `recipes train` can use the 2 workers of TF_CONFIG"):
        strategies.cluster_for("auto", hosts=False)
    monkeypatch.delenv("TF_CONFIG")
    assert strategies.cluster_for("auto") is None
    with pytest.raises(ValueError, match="strategy='multiworker': this process is not one of"):
        strategies.cluster_for("multiworker")


@pytest.mark.parametrize(
    "line",
    [
        "compare digits/mlp --run=r",
        "tune digits/mlp --run=r",
        "evaluate alexnet --weights=w.h5 --data=folder:.",
    ],
)
def test_other_commands_do_not_ignore_the_cluster(line, here, monkeypatch, tmp_path):
    (tmp_path / "w.h5").write_bytes(b"")
    monkeypatch.setenv("TF_CONFIG", config(TWO))
    done = here(*line.split())
    assert done.returncode == 2
    assert "only `recipes train` can use the 2 workers of TF_CONFIG" in done.stderr
    assert done.stderr.count("\n") == 1
    monkeypatch.setenv("TF_CONFIG", "{")
    done = here("train", "digits/mlp", "--run=r")
    assert (done.returncode, "TF_CONFIG='{': not valid JSON" in done.stderr) == (2, True)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("name", ["multiworker:2", "tpus", "mirrored:0", "one:1", "tpu:8"])
def test_other_names_of_strategies_are_an_error(name):
    with pytest.raises(ValueError, match="strategy"):
        strategies.parse_strategy(name)


def test_keras_is_corrected_for_tested_versions_only():
    keras_fix.require_tested("3.15.1")
    with pytest.raises(ValueError, match=r"Keras 3.99.0 needs corrections \(keras#20585\)"):
        keras_fix.require_tested("3.99.0")


UNHEALTHY = """Graph execution error: Collective ops is aborted by: Error reported from
/job:worker/task:1: The following tasks are unhealthy (stopped sending heartbeats):
/job:worker/replica:0/task:1
The tasks have crashed."""
REPORTED = """Collective ops is aborted by: Error reported from /job:worker/task:1:
(recipes: worker 1 (b:2): data: cat.jpg cannot be read)recipes [[{{node x}}]]"""


def test_the_error_for_a_lost_worker_names_it_and_its_reason():
    from tensorflow import errors

    from recipes.distribution import multiworker

    here = Cluster(("a:1", "b:2", "c:3"), 2)
    for kind, text, expected in (
        (errors.UnavailableError, UNHEALTHY, "worker 1 (b:2): ended or cannot be reached"),
        (errors.UnavailableError, "at /job:worker/replica:0/task:0 x", "chief (a:1): ended"),
        (errors.InternalError, "Collective ops is aborted by: x", "another worker: ended"),
        (errors.AbortedError, REPORTED, "worker 1 (b:2): data: cat.jpg cannot be read; all"),
        (errors.CancelledError, "/job:worker/task:2 is this one", "another worker: ended"),
    ):
        error = kind(None, None, text)
        assert multiworker.is_lost(error)
        found = multiworker.lost(error, here)
        assert str(found).startswith(expected), found
        assert "epeat the same command on all workers" in str(found)
        assert found.exit_code == 75
    assert not multiworker.is_lost(errors.InvalidArgumentError(None, None, "a wrong shape"))
    assert not multiworker.is_lost(ValueError("Collective ops is aborted"))


def test_metrics_continue_with_another_number_of_replicas():
    """The sums of an epoch are those of all replicas, whoever continues them."""
    from recipes.distribution.team import Team

    arrays = {"metric/0/total": np.array([3.0]), "metric/0/total@1": np.array([4.0])}
    assert Team("one").own(arrays) == {"metric/0/total": np.array([7.0])}
    alone = {"metric/0/total": np.array([3.0])}
    assert Team("one").own(alone) == alone
    first, second = (stand_in(index).own(alone) for index in range(2))
    assert (first["metric/0/total"], second["metric/0/total"]) == (3, 0)
    first, second = (stand_in(index).own(arrays) for index in range(2))
    assert (first["metric/0/total"], second["metric/0/total"]) == (3, 4)


def stand_in(index):
    """Return the team of a worker of two without a connection."""
    from recipes.distribution.team import Team

    class Unconnected(Team):
        strategy = SimpleNamespace(num_replicas_in_sync=2)

    team = Unconnected("one")
    team.cluster = Cluster(("a:1", "b:2"), index)
    team.index, team.count = index, 2
    return team
