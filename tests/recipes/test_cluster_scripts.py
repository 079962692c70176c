"""The Slurm script and the Kubernetes manifest of docs/distributed, with stand-ins for clusters."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from recipes.distribution.cluster import from_environment
from recipes.search.workers.hosts import address_of, joins

pytestmark = pytest.mark.quick
DOCS = Path(__file__).parents[2] / "docs" / "distributed"


@pytest.fixture
def run(tmp_path):
    """Run a shell command, in which some programs only note how they were called."""

    def shell(command, stand_ins, **environment):
        for name, code in stand_ins.items():
            program = tmp_path / name
            program.write_text(f'#!/bin/bash\necho "{name} $@" >> "{tmp_path}/log"\n{code}\n')
            program.chmod(program.stat().st_mode | stat.S_IXUSR)
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            command, capture_output=True, text=True, env={"PATH": path, **environment}, timeout=60
        )
        log = tmp_path / "log"
        return done.returncode, log.read_text().splitlines() if log.exists() else []

    return shell


def manifests():
    service, job = yaml.safe_load_all((DOCS / "kubernetes.yaml").read_text())
    return service, job


def test_the_manifest_names_the_pods_that_its_workers_look_for():
    service, job = manifests()
    assert (service["kind"], job["kind"]) == ("Service", "Job")
    assert service["spec"]["clusterIP"] == "None"  # headless: a name for each pod
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    assert spec["completionMode"] == "Indexed"
    assert pod["subdomain"] == service["metadata"]["name"]
    [container] = pod["containers"]
    values = {each["name"]: each["value"] for each in container["env"]}
    assert spec["completions"] == spec["parallelism"] == int(values["WORKERS"])
    mounted = {each["name"] for each in container["volumeMounts"]}
    assert mounted <= {each["name"] for each in pod["volumes"]}


def test_the_command_of_the_manifest_sets_tf_config(run, tmp_path):
    service, job = manifests()
    [container] = job["spec"]["template"]["spec"]["containers"]
    code, log = run(
        [*container["command"], *container["args"]],
        {"recipes": f'echo "$TF_CONFIG" > "{tmp_path}/config"'},
        WORKERS="4", JOB_COMPLETION_INDEX="2",
    )  # fmt: skip
    assert code == 0
    assert log == ["recipes train imagenet/resnet50 --run=/runs/resnet50"]
    found = from_environment({"TF_CONFIG": (tmp_path / "config").read_text()})
    port = service["spec"]["ports"][0]["port"]
    name, domain = job["metadata"]["name"], service["metadata"]["name"]
    assert found.addresses == tuple(f"{name}-{i}.{domain}:{port}" for i in range(4))
    assert found.index == 2


@pytest.mark.parametrize(
    ("srun", "code", "calls"),
    [
        ("exit 0", 0, ["srun"]),
        ("exit 2", 2, ["srun"]),  # a wrong argument
        ("exit 143", 0, ["srun", "scontrol"]),  # the time limit
        ("exit 137", 1, ["srun", "srun"]),  # a node failed, twice
        ("exit 75", 1, ["srun", "srun"]),
    ],
)
def test_the_slurm_script_repeats_what_can_succeed(srun, code, calls, run):
    found, log = run(
        ["bash", DOCS / "train.sbatch", "digits/mlp", "--run=runs/a b"],
        {"srun": srun, "scontrol": ""},
        ATTEMPTS="2", PAUSE="0", SLURM_JOB_ID="4711",
    )  # fmt: skip
    assert found == code
    assert [line.split()[0] for line in log] == calls
    options = "--kill-on-bad-exit=1 --distribution=block"
    assert log[0] == f"srun {options} recipes train digits/mlp --run=runs/a b"
    if "scontrol" in calls:
        assert log[-1] == "scontrol requeue 4711"


# Searches


def test_the_manifest_of_a_search_starts_one_chief_that_the_others_know(run, tmp_path):
    service, job = yaml.safe_load_all((DOCS / "kubernetes-tune.yaml").read_text())
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    assert spec["completionMode"] == "Indexed"
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    assert pod["subdomain"] == service["metadata"]["name"]
    [container] = pod["containers"]
    given = {each["name"]: each["value"] for each in container["env"]}
    found = []
    for index in "02":
        code, log = run(
            [*container["command"], *container["args"]],
            {"recipes": f'env > "{tmp_path}/variables"'},
            JOB_COMPLETION_INDEX=index, **given,
        )  # fmt: skip
        assert code == 0
        variables = (tmp_path / "variables").read_text().splitlines()
        environment = dict(line.split("=", 1) for line in variables if "=" in line)
        found.append((address_of(environment), joins(environment)))
    assert set(log) == {"recipes tune imagenet/resnet50 --trials=64 --run=/runs/search --workers=1"}
    first = f"{job['metadata']['name']}-0.{service['metadata']['name']}:5000"
    assert found == [(("0.0.0.0:5000", "chief"), False), ((first, "pod-2"), True)]


@pytest.mark.parametrize("task", [0, 3])
def test_the_slurm_script_of_a_search_starts_one_chief_that_the_others_know(task, run, tmp_path):
    # A stand-in for srun that runs the command of one task, as srun would on a node
    srun = f'shift 2; export SLURM_PROCID={task} SLURM_STEP_NUM_TASKS=4; "$@"'
    code, log = run(
        ["bash", DOCS / "tune.sbatch", "digits/mlp", "--run=runs/a b"],
        {
            "srun": srun,
            "scontrol": "echo node7; echo node8",
            "recipes": f'env > "{tmp_path}/variables"',
        },
        SLURM_JOB_ID="4711", SLURM_JOB_NODELIST="node[7-8]", SLURM_GPUS_ON_NODE="8",
    )  # fmt: skip
    assert code == 0
    assert log[0] == "scontrol show hostnames node[7-8]"
    assert log[-1] == "recipes tune --workers=8 digits/mlp --run=runs/a b"
    variables = (tmp_path / "variables").read_text().splitlines()
    environment = dict(line.split("=", 1) for line in variables if "=" in line)
    name = "chief" if task == 0 else "node-3"
    assert address_of(environment) == ("node7:24711", name)
    assert joins(environment) == (task != 0)
    assert from_environment(environment) is None  # the tasks do not train one run together
