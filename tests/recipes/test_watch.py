"""The data of the page about searches and runs, its server, and the report."""

import errno
import http.client
import json
import math
import os
import re
import socket
import subprocess
import sys
import threading
import time

import pytest

from recipes.watch import details, estimates, places, searches
from recipes.watch.fields import changes, choice_text, inferred
from recipes.watch.plotting import _trials
from recipes.watch.reading import Files, as_metrics, as_table
from recipes.watch.report import report
from recipes.watch.server import ADDRESS, Server
from recipes.watch.state import State
from tests.recipes import made_up_searches as made_up

pytestmark = pytest.mark.quick


@pytest.fixture
def search(tmp_path):
    """A search with trials in every state, of which the first workers died."""
    return made_up.write_search(
        tmp_path / "search", 12, running=(10, 11), failed=(3,), stopped=(4, 5), same=(6,),
        waiting=(8,), wanted=20, workers=3, error="its <b>process</b> failed",
    )  # fmt: skip


@pytest.fixture
def served():
    """Serve directories; returns a function that asks for an address."""
    servers = []

    def start(*paths):
        server = Server((ADDRESS, 0), State(list(paths), every=0))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        servers.append(server)

        def ask(path, host="127.0.0.1", method="GET", **headers):
            link = http.client.HTTPConnection(ADDRESS, server.server_port, timeout=20)
            link.request(method, path, headers={"Host": host, **headers})
            answer = link.getresponse()
            answer.content = answer.read()
            link.close()
            return answer

        return ask

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def runs_of(state):
    return state.since(None)["runs"]


def test_each_trial_has_its_state_and_values(search):
    data = State([search]).since(None)
    (found,) = data["collections"]
    assert (found["tuner"], found["wanted"], found["goal"], found["alive"]) == (
        "random", 20, "max", True,
    )  # fmt: skip
    assert [axis["name"] for axis in found["axes"]] == [a["config"]["name"] for a in made_up.SPACE]
    assert found["axes"][2] == {
        "name": "lr", "kind": "number", "log": True, "low": 1e-4, "high": 1.0,
    }  # fmt: skip
    assert found["importance"][0]["name"] == "lr"
    assert {worker["state"] for worker in found["workers"]} == {"training", "dead"}
    runs = [data["runs"][key] for key in found["order"]]
    states = ["finished"] * 12
    states[3], states[4:6], states[6], states[8], states[10:] = (
        "failed", ["stopped"] * 2, "same", "waiting", ["running"] * 2)  # fmt: skip
    assert [run["status"] for run in runs] == states
    assert runs[3]["note"] == "its <b>process</b> failed"
    assert runs[4]["note"] == "the loss exploded"
    assert runs[6]["same_as"] == "00"
    assert runs[6]["score"] is None
    for run in runs:
        assert (run["values"]["momentum"] is None) == (run["values"]["optimizer"] == "adamw")
    rows = as_metrics((search / "trials" / "00" / "metrics.csv").read_text())
    assert runs[0]["score"] == pytest.approx(max(row["val_accuracy"] for row in rows))
    assert runs[0]["curves"]["epoch"] == list(range(1, 9))
    assert runs[10]["epochs"] < runs[10]["planned"] == 8


def test_stages_are_told_apart(tmp_path):
    search = made_up.write_search(tmp_path / "s", 6, coarse=4)
    data = State([search]).since(None)
    assert [run["stage"] for run in data["runs"].values()] == ["1"] * 4 + ["2"] * 2
    assert [each["trials"] for each in data["collections"][0]["stages"]] == [4, 2]
    _, trials = _trials(Files(), search, "")
    assert [math.isnan(each.score) for each in trials] == [True] * 4 + [False] * 2
    (search / "trials.csv").unlink()
    for trial, stage in (("0", 1), ("5", 2)):
        place = search / "oracle" / f"trial_{trial}"
        place.mkdir(parents=True)
        held = {"status": "RUNNING", "hyperparameters": {"values": {"tuner/stage": stage}}}
        (place / "trial.json").write_text(json.dumps(held))
    runs = {run["trial"]: run for run in runs_of(State([search])).values()}
    assert (runs["0"]["stage"], runs["5"]["stage"], runs["1"]["stage"]) == ("1", "2", None)


@pytest.mark.not_quick  # imports scikit-learn
def test_importance_is_estimated_before_a_search_has_ended(tmp_path):
    search = made_up.write_search(tmp_path / "s", 24, failed=(3,), stopped=(4, 5), same=(6,))
    (search / "importance.csv").unlink()
    found = estimates.estimate(search)
    assert found[0]["name"] == "lr"  # from which the curves are made up
    assert found[0]["value"] > found[0]["error"] > 0
    assert {each["name"] for each in found} == {axis["config"]["name"] for axis in made_up.SPACE}
    few = made_up.write_search(tmp_path / "few", 5)
    assert estimates.estimate(few) == []


def test_only_searches_without_an_end_are_estimated(search):
    asked = []

    def importance(folder, count):
        asked.append((folder, count))
        return [] if len(asked) == 1 else [{"name": "new"}]

    def shown():
        return State([search], importance=importance).since(None)["collections"][0]["importance"]

    assert shown()[0]["name"] == "lr"  # from importance.csv, until there is an estimate
    assert shown() == [{"name": "new"}]
    assert asked == [(search, 7)] * 2
    made_up.write_workers(search, 3, [], time.time(), ended=True)
    assert shown()[0]["name"] == "lr"
    assert len(asked) == 2
    (search / "importance.csv").unlink()
    assert shown() == [{"name": "new"}]


def test_importance_is_estimated_again_after_more_trials(tmp_path, monkeypatch):
    begun = []

    def command(module, *arguments):
        begun.append((module, *arguments))
        return [sys.executable, "-c", f'print(\'[{{"name": "{len(begun)}"}}]\')']

    monkeypatch.setattr(estimates.worker, "command", command)
    monkeypatch.setattr(estimates, "PAUSE_SECONDS", 0)
    latest = estimates.Estimates().latest

    def result_of(count):
        latest(tmp_path, count)
        deadline = time.monotonic() + 20
        while (found := latest(tmp_path, 0)) == before and time.monotonic() < deadline:
            time.sleep(0.01)
        return found

    before = []
    assert latest(tmp_path, 7) == []
    assert begun == []
    before = result_of(8)
    assert before == [{"name": "1"}]
    assert latest(tmp_path, 9) == before
    assert begun == [("recipes.watch.estimates", str(tmp_path))]
    assert result_of(10) == [{"name": "2"}]


def test_a_search_without_a_chief_is_not_running(search):
    old = time.time() - 100
    made_up.write_workers(search, 3, ["10", "11"], old)
    for name in ("10", "11"):
        for file in ("metrics.csv", "recipe.json"):
            os.utime(search / "trials" / name / file, (old, old))
    runs = runs_of(State([search]))
    assert [run["status"] for run in runs.values()].count("interrupted") == 2
    made_up.write_workers(search, 3, ["10", "11"], time.time(), ended=True)
    assert not State([search]).since(None)["collections"][0]["alive"]


def test_a_search_of_an_earlier_version_has_states(search):
    rows = as_table((search / "trials.csv").read_text())
    kept = [name for name in rows[0] if name != "status"]
    lines = [",".join(kept)] + [",".join(row[name] for name in kept) for row in rows[:7]]
    (search / "trials.csv").write_text("\n".join(lines) + "\n")
    trial = search / "oracle" / "trial_07"
    trial.mkdir(parents=True)
    values = {"act": "elu", "lr": 0.25, "tuner/epochs": 2}
    (trial / "trial.json").write_text(json.dumps(
        {"status": "COMPLETED", "score": 0.5, "hyperparameters": {"values": values}}))  # fmt: skip
    runs = {run["trial"]: run for run in runs_of(State([search])).values()}
    assert [runs[f"0{i}"]["status"] for i in (0, 3, 6, 7)] == [
        "finished", "failed", "same", "finished",
    ]  # fmt: skip
    assert (runs["07"]["score"], runs["07"]["values"]["lr"]) == (0.5, 0.25)
    assert "tuner/epochs" not in runs["07"]["values"]
    (trial / "trial.json").write_text(json.dumps(
        {"status": "RUNNING", "score": None, "hyperparameters": {"values": values}}))  # fmt: skip
    runs = {run["trial"]: run for run in runs_of(State([search])).values()}
    assert runs["07"]["status"] == "finished"  # because its run is


def test_only_what_changed_is_sent_again(search):
    state = State([search], every=0)
    first = state.since(None)
    assert state.since(first["version"]) is None
    assert set(first["runs"]) == set(first["collections"][0]["order"])
    folder = search / "trials" / "10"
    rows = as_metrics((folder / "metrics.csv").read_text())
    made_up.write_metrics(folder, [*rows, {**rows[-1], "epoch": 6, "val_loss": float("nan")}])
    then = state.since(first["version"])
    assert list(then["runs"]) == ["s0:10"]
    assert then["runs"]["s0:10"]["curves"]["val_loss"][-1] is None
    json.dumps(then, allow_nan=False)
    assert "defaults" not in then
    assert set(state.since("another.5")["runs"]) == set(first["runs"])


def test_files_that_are_being_written_keep_their_last_contents(tmp_path):
    files, path = Files(), tmp_path / "metrics.csv"
    assert files.read(path, as_metrics, []) == []
    path.write_text("epoch,loss\n1,0.5\n")
    assert files.read(path, as_metrics) == [{"epoch": 1.0, "loss": 0.5}]
    path.write_text("epoch,loss\n1,0.5\n2,0.2")  # the row may go on
    assert files.read(path, as_metrics) == [{"epoch": 1.0, "loss": 0.5}]
    path.write_text("epoch,loss\n1,0.5\n2,inf\n3,\n,\n")
    found = files.read(path, as_metrics)
    assert [row["epoch"] for row in found] == [1, 2, 3]
    broken = tmp_path / "a.json"
    broken.write_text('{"a": 1}')
    assert files.read(broken, json.loads) == {"a": 1}
    broken.write_text('{"a"')
    assert files.read(broken, json.loads) == {"a": 1}
    broken.write_text('{"a": 2}')
    assert files.read(broken, json.loads) == {"a": 2}
    broken.unlink()
    assert files.read(broken, json.loads, "gone") == "gone"


def test_rows_with_too_few_or_too_many_cells_do_not_count():
    assert as_table("a,b\n1,2\n3\n4,5,6\n7,8\n9,") == [{"a": "1", "b": "2"}, {"a": "7", "b": "8"}]
    assert as_table("a,b") == as_table("a,b\n") == as_table("") == []


@pytest.mark.parametrize(
    ("silent", "seconds", "status"),
    [(55, 2.5, "running"), (65, 2.5, "interrupted"), (190, 100, "running"),
     (210, 100, "interrupted")],
)  # fmt: skip
def test_a_run_of_another_host_is_running_while_its_files_change(tmp_path, silent, seconds, status):
    made_up.write_run(tmp_path / "run", done=3, finished=False)
    rows = as_metrics((tmp_path / "run" / "metrics.csv").read_text())
    made_up.write_metrics(tmp_path / "run", [{**row, "seconds": seconds} for row in rows])
    then = time.time() - silent
    for file in (tmp_path / "run").iterdir():
        os.utime(file, (then, then))
    (found,) = runs_of(State([tmp_path])).values()
    assert found["status"] == status
    assert found["last"]["val_loss"] == pytest.approx(rows[-1]["val_loss"], rel=1e-4)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"space": 3}', '{"recipe": [], "space": []}'])
def test_damaged_files_do_not_stop_the_page(search, text):
    for name in ("search.json", "trials/01.json", "trials/01/recipe.json", "workers.json",
                 "trials/01/result.json", "oracle/oracle.json", "trials.csv", "importance.csv",
                 "trials/02/metrics.csv"):  # fmt: skip
        (search / name).parent.mkdir(exist_ok=True)
        (search / name).write_text(text)
    assert len(runs_of(State([search]))) == 12


def test_runs_are_found_and_named_by_what_differs(tmp_path):
    for act in ("relu", "elu"):
        made_up.write_run(tmp_path / "a" / act / "seed0", act=act)
    made_up.write_run(tmp_path / "b", lr=0.5, done=2, finished=False)
    made_up.write_search(tmp_path / "c", 2)
    (tmp_path / "b" / "evaluation").mkdir()
    state = State(places.check([tmp_path, tmp_path / "b"]))
    data = state.since(None)
    assert [each["name"] for each in data["collections"]] == ["All", "c", "Runs"]
    plain = data["collections"][2]
    assert [data["runs"][key]["label"] for key in plain["order"]] == [
        "a/elu/seed0", "a/relu/seed0", "b",
    ]  # fmt: skip
    assert {axis["name"]: axis["kind"] for axis in plain["axes"]} == {
        "act": "choice", "lr": "number",
    }  # fmt: skip
    last = data["runs"][plain["order"][2]]
    assert (last["status"], last["epochs"], last["values"]["lr"]) == ("interrupted", 2, 0.5)
    every = data["collections"][0]
    assert len(every["order"]) == 5
    assert {axis["name"] for axis in every["axes"]} == {"act", "lr", "momentum"}
    trial = data["runs"][every["order"][0]]
    assert trial["fields"]["momentum"] == pytest.approx(trial["values"]["momentum"])
    assert trial["fields"]["momentum"] > 0.8
    assert (last["fields"]["lr"], last["fields"]["momentum"]) == (0.5, 0.9)


def test_runs_are_found_in_folders_of_folders(tmp_path):
    for name in ("a/b/c/run", "a/x", "deep/1/2/3/4/run", "a/evaluation/run", "a/.hidden/run"):
        made_up.write_run(tmp_path / name)
    made_up.write_run(tmp_path / "a" / "x" / "act=elu")  # not a part of the run a/x
    _, runs = places.find_all([tmp_path])
    assert places.labels(runs) == ["b/c/run", "x"]
    assert places.labels(runs[:1]) == ["run"]
    (tmp_path / "a" / "x" / "compare.csv").touch()
    assert len(places.find_all([tmp_path])[1]) == 3
    assert len(places.find_all([tmp_path, tmp_path / "a"])[1]) == 3


def test_a_run_whose_directory_is_locked_is_running(tmp_path):
    from recipes.locking import locked

    made_up.write_run(tmp_path / "run", done=2, finished=False)
    assert [run["status"] for run in runs_of(State([tmp_path])).values()] == ["interrupted"]
    with locked(tmp_path / "run"):
        assert [run["status"] for run in runs_of(State([tmp_path])).values()] == ["running"]


def test_many_epochs_are_thinned_but_the_last_one_stays(tmp_path):
    made_up.write_run(tmp_path / "run", epochs=1500)
    ((_, run),) = runs_of(State([tmp_path])).items()
    epochs = run["curves"]["epoch"]
    assert (len(epochs), epochs[0], epochs[-1], run["epochs"]) == (1000, 1, 1500, 1500)
    for i in range(20):
        made_up.write_run(tmp_path / str(i), epochs=300)
    state = State([tmp_path], every=0)
    first = state.since(None)
    assert {len(run["curves"]["loss"]) for run in first["runs"].values()} == {250}
    assert state.since(first["version"]) is None


def test_values_are_the_same_from_json_and_from_a_table():
    for value, text in ((16, "16.0"), (0.1, "0.1"), (1e-5, "1e-05"), (True, "True"), ("a", "a")):
        assert choice_text(value) == choice_text(text)
    assert inferred("n", ["3", "", "30"]) == {
        "name": "n", "kind": "number", "log": True, "low": 3.0, "high": 30.0,
    }  # fmt: skip
    assert inferred("n", ["0", "30"])["log"] is False
    assert inferred("n", ["2", "x"])["values"] == ["2", "x"]
    found = changes({"model": "mlp", "options": {"hidden": [5, [6]]}, "lr": 0.1, "augment": []})
    assert found == {"model": "mlp", "options.hidden": "(5, (6,))"}


def test_the_server_sends_the_page_and_the_data(search, served):
    ask = served(search)
    page = ask("/")
    assert page.status == 200
    assert "script-src 'self'" in page.getheader("Content-Security-Policy")
    for name in re.findall(rb'(?:src|href)="([\w.]+)"', page.content):
        asset = ask(f"/{name.decode()}")
        assert asset.status == 200, name
        assert len(asset.content) == int(asset.getheader("Content-Length"))
    assert ask("/", method="HEAD").content == b""
    data = json.loads(ask("/data").content)
    made_up.write_importance(search, [])
    then = ask(f"/data?since={data['version']}")
    assert (then.status, json.loads(then.content)["runs"]) == (200, {})
    again = ask(f"/data?since={json.loads(then.content)['version']}")
    assert (again.status, again.content) == (304, b"")
    found = json.loads(ask("/run?key=s0:03").content)
    assert "recipe = Recipe(" in found["recipe"]
    assert ask("/run?key=s0:99").status == 404
    assert ask("/", method="POST").status == 501


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:8750", 200), ("localhost:9000", 200), ("evil.example", 403),
     ("127.0.0.1.evil.example:8750", 403), ("", 403)],
)  # fmt: skip
def test_other_host_names_are_rejected(search, served, host, status):
    assert served(search)("/data", host=host).status == status


def test_only_pictures_of_the_runs_are_sent(search, served, tmp_path):
    ask = served(search)
    ask("/data")
    (tmp_path / "secret.png").write_bytes(b"secret")
    folder = search / "trials" / "00"
    (folder / "check").mkdir()
    (folder / "check" / "a b.png").write_bytes(b"picture")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "\udcff<b>.png").write_bytes(b"another")
    pictures = json.loads(ask("/run?key=s0:00").content)["pictures"]
    assert [each["name"] for each in pictures] == ["check/a b.png", "\\xff<b>.png"]
    assert [ask(f"/{each['src']}").content for each in pictures] == [b"picture", b"another"]
    for path in (
        "/picture?key=s0:00&name=link.png", "/picture?key=s0:00&name=../../../secret.png",
        "/picture?key=s0:00&name=../01/recipe.json", "/picture?key=../..&name=secret.png",
        "/../../secret.png", "/%2e%2e/secret.png", "/server.py", "/page.html/../assets.py",
        "//etc/passwd", "/search.json", "/picture", "/run",
    ):  # fmt: skip
        assert ask(path).status == 404, path


def test_the_log_is_sent_from_its_end(search):
    (search / "trials" / "00.log").write_text("".join(f"line {i} é\n" for i in range(20_000)))
    found = details.details(search / "trials" / "00", search, "00", log_bytes=1000)
    assert found["log"].startswith("line 19")
    assert found["log"].endswith("line 19999 é\n")
    assert 900 < len(found["log"].encode()) <= 1000
    (search / "trials" / "00.log").write_text("\x1b[1m1/2\x1b[0m\r2/2\r\nend\r")
    assert details.details(search / "trials" / "00", search, "00")["log"] == "2/2\nend"


def test_the_report_holds_everything_in_one_file(search, here, tmp_path):
    (search / "trials" / "03.log").write_text("</script><script>alert(1)</script>")
    (search / "trials" / "00" / "heat.png").write_bytes(b"\x89PNG picture")
    (search / "trials" / "00" / "curves.png").write_bytes(b"\x89PNG curves")
    done = here("report", search)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{search / 'report.html'}: 12 runs\n"
    text = (search / "report.html").read_text("utf-8")
    assert not re.findall(r'(?:src|href)="(?!data:)[^"]*"', text[: text.index("plotly.js v")])
    assert "alert(1)</script>" not in text
    kept = json.loads(re.search(r'id="kept">(.*?)</script>', text, re.S)[1])
    assert len(kept["data"]["runs"]) == 12
    assert kept["details"]["s0:03"]["log"].startswith("</script>")
    assert [each["name"] for each in kept["details"]["s0:00"]["pictures"]] == ["heat.png"]


def test_the_report_keeps_the_pictures_of_the_best_runs(tmp_path, monkeypatch):
    scores = {}
    for i, lr in enumerate((0.001, 0.03, 0.3)):
        scores[i] = made_up.write_run(tmp_path / str(i), lr=lr)
        (tmp_path / str(i) / "a.png").write_bytes(b"x" * 60)
    assert max(scores.values()) == scores[1]
    monkeypatch.setattr("recipes.watch.report.PICTURE_BYTES", 100)
    path, what = report([tmp_path], tmp_path / "all.html")
    assert what == "3 runs"
    found = json.loads(re.search(r'id="kept">(.*?)</script>', path.read_text(), re.S)[1])["details"]
    assert [len(each["pictures"]) for _, each in sorted(found.items())] == [0, 1, 0]
    assert found["r0"]["left_out"].startswith("1 picture not included, to keep this file small")


def test_a_report_of_a_search_without_a_finished_trial_says_so(tmp_path, here):
    made_up.write_search(tmp_path / "s", 2, failed=(0, 1))
    done = here("report", tmp_path / "s", "--to", "a.html")
    assert done.stdout == "a.html: 2 runs; none of them has finished yet\n"
    assert report([tmp_path / "s"])[0] == tmp_path / "s" / "report.html"


@pytest.mark.parametrize("command", ["watch", "report", "plot"])
def test_wrong_directories_are_one_line(command, here, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for path, reason in (
        ("nosuch", "there is no such directory"), ("file", "this is a file; use '.'"),
        ("empty", "contains neither a search nor a run; pass the directory of a"),
    ):  # fmt: skip
        done = here(command, path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"{command}: path={path!r}: {reason}")
        assert done.stderr.count("\n") == 1


def test_a_port_in_use_names_a_free_one(here, tmp_path):
    made_up.write_run(tmp_path / "run")
    with socket.socket() as taken:
        taken.bind((ADDRESS, 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = here("watch", "run", "--port", port)
    match = re.fullmatch(
        rf"watch: port={port}: another program uses this port; use --port=(\d+)\n", done.stderr
    )
    assert done.returncode == 2
    assert int(match[1]) != port
    for wrong in (0, 70000, -1):
        done = here("watch", "run", f"--port={wrong}")
        assert done.stderr == f"watch: port={wrong}: must be from 1 to 65535\n"


def test_a_port_that_is_not_permitted_is_one_line(here, tmp_path, monkeypatch):
    made_up.write_run(tmp_path / "run")

    def bind(self):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Server, "server_bind", bind)
    done = here("watch", "run", "--port=80")
    assert re.fullmatch(
        r"watch: port=80: not permitted; use a port above 1023, such as \d+\n", done.stderr
    )


def test_the_commands_start_without_tensorflow_and_pandas():
    program = (
        "import recipes.watch.server, recipes.watch.report, recipes.watch.plotting, sys;"
        "print({'tensorflow', 'keras', 'pandas', 'plotly', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


@pytest.mark.parametrize(
    ("name", "reason"),
    [("a.jpg", "must end in .png"), ("no/a.png", "there is no directory 'no'")],
)
def test_a_picture_that_cannot_be_written_is_one_line(here, tmp_path, name, reason):
    made_up.write_run(tmp_path / "run")
    done = here("plot", "run", "--to", name)
    assert done.stderr == f"plot: to={name!r}: {reason}\n"
    done = here("report", "run", "--to", name)
    assert done.stderr.count("\n") == 1


def test_runs_without_an_epoch_are_not_plotted(here, tmp_path):
    made_up.write_run(tmp_path / "run", done=0, finished=False)
    done = here("plot", "run")
    assert done.stderr == "plot: path='run': no run there has finished an epoch\n"
    assert not (tmp_path / "runs.png").exists()


def test_a_stopped_page_ends_with_one_line(tmp_path, monkeypatch, here):
    made_up.write_run(tmp_path / "run")

    def stop(self, poll_interval):
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "serve_forever", stop)
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port = probe.getsockname()[1]
    done = here("watch", "run", "--port", port)
    assert done.returncode == 130
    assert done.stdout == f"The page is at http://127.0.0.1:{port}/ until you press Ctrl-C.\n"
    assert done.stderr == "\nwatch: stopped\n"


def test_the_chief_is_alive_while_it_writes(search):
    def alive(seconds, locks=()):
        staff = {"heard": time.time() - seconds, "ended": False}
        return searches._alive(search, staff, set(locks))

    assert alive(14)
    assert not alive(16)
    assert alive(16, [search.stat().st_ino])
