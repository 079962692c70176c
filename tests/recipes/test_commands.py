"""The commands of recipes: errors, help, flags and scripts."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

import recipes
from recipes.cli import flags, main
from recipes.recipe_files import HERE
from tests import processes

BAD = {
    # A command, and a part of the one line that it prints.
    "": None,
    "trian digits/mlp": "unknown command 'trian'; did you mean 'train'?",
    "train": "arguments are required: recipe",
    "train digits/resnet2": "unknown recipe 'digits/resnet2'; did you mean 'digits/resnet20'?",
    "train nosuch/place.py": "recipe='nosuch/place.py': there is no such file",
    "train digits/mlp extra": "unrecognized arguments: extra",
    "train digits/mlp --epoch=3": "unknown flag '--epoch'; did you mean '--epochs'?",
    "train digits/mlp --epochs": "--epochs: the value is missing; write --epochs=VALUE",
    "train digits/mlp --epochs=None": "epochs='None': must be an integer",
    "train digits/mlp --lr = 0.1": "has spaces around =; write --lr=VALUE",
    "train digits/mlp --run=": "the path is empty; pass a directory",
    "train digits/mlp --learning_rate=1": "the flag is called --lr here",
    "train digits/mlp --act=none": "or linear for no activation",
    "train digits/mlp --norm=None": "or none for no normalization",
    "train digits/mlp --dtype=float16": "use 'mixed_float16'",
    "train digits/mlp --data=folder:": "write folder:PATH",
    "train digits/mlp --epochs=x": "epochs='x': must be an integer",
    "train digits/mlp --epochs=1.5": "epochs='1.5': must be an integer",
    "train digits/mlp --epochs=0": "epochs=0: must be at least 1",
    "train digits/mlp --lr=fast": "lr='fast': must be a number",
    "train digits/mlp --nesterov=maybe": "nesterov='maybe': must be True or False",
    "train digits/mlp --milestones=(1,x)": "milestones=",
    "train digits/mlp --optimizer=adamm": "did you mean 'adam'?",
    "train digits/mlp --optimizer=SGD": "did you mean 'sgd'?",
    "train digits/mlp --strategy=multiworker": "this process is not one of several workers",
    "train digits/mlp --model=resnet21": "unknown model 'resnet21'; did you mean",
    "train digits/mlp --act=rellu": "unknown act 'rellu'; did you mean 'relu'?",
    "train digits/mlp --norm=batsh": "did you mean 'batch'?",
    "train digits/mlp --init=xavir": "did you mean 'xavier'?",
    "train digits/mlp --options.hiden=(5,)": "did you mean 'hidden'?",
    "train digits/mlp --options.hidden=wide": "hidden='wide': must be a tuple",
    "train digits/mlp --augment=Flop()": "unknown op 'Flop'; did you mean 'Flip'?",
    "train digits/mlp --augment=__import__('os')": "op",
    "show digits/mlp --epochs=0": "epochs=0: must be at least 1",
    "show digits/mlp --act=rellu": "did you mean 'relu'?",
    "list nosuch*": "unknown recipe 'nosuch*'",
    "evaluate nosuch": "run='nosuch': there is no such directory",
    "evaluate .": "run='.': not a run directory",
    "smoke nosuch": "unknown recipe 'nosuch'",
    "tune digits/mlp": "use --run=DIR",
    "tune digits/mlp --run=s --trials=x": "trials",
}


@pytest.mark.quick
@pytest.mark.parametrize("line", [line for line in BAD if line])
def test_a_wrong_command_line_is_a_one_line_error(line, here, fresh_cli, tmp_path):
    run = fresh_cli if line == "train digits/resnet2" else here
    done = run(*line.split())
    assert done.returncode == 2
    assert done.stdout == ""
    assert BAD[line] in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


LATE = {
    "train digits/mlp --data=folder:/no-such-place": "/no-such-place",
    "train digits/mlp --strategy=mirorred": "unknown strategy 'mirorred'",
    "train digits/lenet5 --data=made_up:8x8x1:4:64 --eval_ops=() --augment=()": "least",
}


@pytest.mark.parametrize("line", LATE)
def test_errors_found_before_training_are_one_line_and_start_no_run(line, here, tmp_path):
    done = here(*line.split())
    assert done.returncode == 2
    assert LATE[line] in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert not list(tmp_path.rglob("recipe.json"))


HEAVY = ("tensorflow", "keras", "pandas", "numpy", "matplotlib", "tensorflow_datasets")


@pytest.mark.quick
@pytest.mark.parametrize(
    "line",
    [
        "--help",
        "list",
        "list digits/r*",
        "show digits/resnet20 --act=elu --epochs=3",
        "train --help",
        "show digits/resnet21",
    ],
)
def test_commands_that_only_print_import_no_framework(line, python, tmp_path):
    program = (
        "import sys, json\n"
        f"from recipes.cli.main import run\n"
        f"try:\n    code = run({line.split()!r})\nexcept SystemExit as end:\n    code = end.code\n"
        f"print(); print(json.dumps([code, [m for m in {HEAVY!r} if m in sys.modules]]))"
    )
    code, imported = json.loads(python(program, fresh=True).stdout.splitlines()[-1])
    assert imported == []
    assert code == (2 if "21" in line else 0)


@pytest.mark.quick
def test_show_prints_a_file_that_trains_the_same(fresh_cli, tmp_path):
    done = fresh_cli("show", "digits/resnet20", "--epochs=3", "--augment=(Resize(32), Flip())")
    assert done.returncode == 0, done.stderr
    file = tmp_path / "shown.py"
    file.write_text(done.stdout)
    expected = recipes.replace(
        recipes.load("digits/resnet20"), epochs=3, augment="(Resize(32), Flip())"
    )
    assert recipes.load(file) == expected


@pytest.mark.quick
def test_list_gives_each_name_with_its_title(fresh_cli):
    lines = fresh_cli("list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == recipes.names()
    assert all(len(line.split()) > 3 for line in lines)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--epochs=3"], {"epochs": 3}),
        (["--epochs", "3", "--lr", "1"], {"epochs": 3, "lr": 1.0}),
        (
            ["--norm=none", "--init=none", "--freeze=None"],
            {"norm": "none", "init": None, "freeze": None},
        ),
        (["--act=null", "--dropout=null"], {"act": None, "dropout": None}),
        (["--nesterov"], {"nesterov": True}),
        (["--nesterov=false"], {"nesterov": False}),
        (["--nesterov", "--epochs=3"], {"nesterov": True, "epochs": 3}),
        (["--milestones=(1, 2.5)"], {"milestones": (1.0, 2.5)}),
        (["--milestones=[3]"], {"milestones": (3.0,)}),
        (["--milestones=(3,)"], {"milestones": (3.0,)}),
        (["--milestones=3,4.5"], {"milestones": (3.0, 4.5)}),
        (["--validation=0.2"], {"validation": 0.2}),
        (["--validation=val"], {"validation": "val"}),
        (["--weight_decay=1e-4"], {"weight_decay": 1e-4}),
        (["--options.stem=cifar"], {"options.stem": "cifar"}),
        (["--options.hidden=(512,)"], {"options.hidden": (512,)}),
        (["--options.groups", "8"], {"options.groups": 8}),
        (["--options.zero_gamma=True"], {"options.zero_gamma": True}),
        (["--options.zero_gamma=false"], {"options.zero_gamma": False}),
        (["--options.depths.1=2"], {"options.depths.1": 2}),
        (["--options.x=null"], {"options.x": None}),
        (["--data=made_up:8x8x1:10"], {"data": "made_up:8x8x1:10"}),
        (["--augment=(Flip(),)"], {"augment": "(Flip(),)"}),
    ],
)
def test_flags_are_parsed_into_values(given, expected):
    for argv in (["r", *given], [*given, "r"]):
        if argv[-2:-1] == ["--nesterov"]:
            continue
        own, overrides = flags.parse("x", "", {"recipe": {}}, argv, fields=True)
        assert own == {"recipe": "r"}
        assert overrides == expected
        assert {n: type(v) for n, v in overrides.items()} == {
            n: type(v) for n, v in expected.items()
        }


@pytest.mark.quick
def test_each_field_has_a_flag(capsys):
    with pytest.raises(SystemExit):
        flags.parse("x", "", {}, ["--help"], fields=True)
    text = capsys.readouterr().out
    for name in recipes.recipe.FIELDS:
        assert f"--{name}" in text


def test_a_recipe_run_as_a_script_is_the_same_run(here, tmp_path):
    small = ("--data=made_up:8x8x1:4:64", "--epochs=1", "--batch_size=16")
    # Not an installed package of the same name, which a script's own path would find first
    settings = {"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": str(HERE.parent)}}
    script = subprocess.run(
        [sys.executable, str(HERE / "digits" / "mlp.py"), *small],
        capture_output=True,
        text=True,
        **settings,
    )
    assert script.returncode == 0, script.stderr
    # `recipes train` finds the finished run of the script and trains nothing.
    module = here("train", "digits/mlp", *small)
    assert module.returncode == 0, module.stderr
    finished, result, _ = module.stdout.splitlines()
    assert "already finished on" in finished
    assert result == script.stdout.splitlines()[-1]
    (run,) = (tmp_path / "runs" / "digits" / "mlp").iterdir()
    assert recipes.open(run).about["name"] == "digits/mlp"

    wrong = subprocess.run(
        [sys.executable, str(HERE / "digits" / "mlp.py"), "--epoch=1"],
        capture_output=True,
        text=True,
        **settings,
    )
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("train: unknown flag '--epoch'; did you mean '--epochs'?")

    evaluated = here("evaluate", run)
    assert evaluated.returncode == 0, evaluated.stderr
    assert f"{'top1':<19}{recipes.open(run).result['top1']:.4f}" in evaluated.stdout
    refused = here("train", "digits/mlp", *small, "--lr=0.5", f"--run={run}")
    assert refused.returncode == 2
    assert "lr=0.05 there, 0.5 now" in refused.stderr


def test_a_second_process_is_rejected_and_ctrl_c_prints_how_to_resume(tmp_path):
    command = [
        sys.executable, "-m", "recipes", "train", "digits/mlp", "--data=made_up:8x8x1:4:640",
        "--epochs=5000", "--run=run",
    ]  # fmt: skip
    # Not an installed package of the same name
    env = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    process = processes.Process(command, cwd=tmp_path, env=env)
    deadline = time.monotonic() + 300
    while not (tmp_path / "run" / "checkpoint.npz").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    second = processes.run(command, cwd=tmp_path, env=env)
    assert second.returncode == 2
    wait = "another process is using this directory; wait for it, or choose another"
    assert second.stderr == f"train: run: {wait}\n"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130
    assert re.fullmatch(
        r"train: stopped; saved after (epoch \d+|step \d+ of \d+ in epoch \d+);"
        " the same command continues there",
        stderr.strip(),
    )


def test_smoke_runs_the_recipes_of_a_pattern(here, fork_workers):
    done = here("smoke", "cifar*/linear")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == recipes.names("cifar*/linear")
    assert all(" ok, " in line for line in lines)


@pytest.mark.quick
def test_every_command_is_documented():
    for name, command in main.COMMANDS.items():
        assert command.about in main.usage(), name
        assert command.function.__doc__
