"""What is exported gives the network's logits in another runtime, or is not there at all."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file

import zoo
from zoo import exporting, registry
from zoo.__main__ import main
from zoo.exporting import checking

BEFORE = {"scale": [0.017, 0.018, 0.019], "offset": [-2.0, -1.9, -1.8]}


def network(toy, **options):
    """A toy with random norm statistics, so that a norm that is lost shows, on raw pixels."""
    before = keras.layers.Rescaling(**BEFORE, name="input_rescaling")
    model = zoo.build(toy, preprocess=before, seed=0, **{"init": "kaiming", **options})
    draw = np.random.default_rng(1)
    for w in model.weights:
        if w.name in ("gamma", "moving_variance"):
            w.assign(draw.uniform(0.5, 1.5, w.shape))
        elif w.name in ("beta", "moving_mean", "bias"):
            w.assign(draw.uniform(-0.2, 0.2, w.shape))
    return model


def logits(path, x):
    """What a file gives, without any of zoo's code."""
    if path.suffix == ".keras":
        return keras.saving.load_model(path)(x).numpy()
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: x})[0]
    if path.suffix == ".tflite":
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=str(path))
        image = interpreter.get_input_details()[0]["index"]
        interpreter.resize_tensor_input(image, x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(image, x)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    return loaded.serve(x).numpy()


def images(n=2, size=32, channels=3):
    draw = np.random.default_rng(5)
    coarse = draw.uniform(0, 255, (n, 8, 8, channels)).astype("float32")
    return coarse.repeat(-(-size // 8), 1).repeat(-(-size // 8), 2)[:, :size, :size]


def apart(a, b):
    return float(np.abs(a - b).max() / np.abs(b).max())


SUFFIXES = {"keras": ".keras", "saved_model": "", "onnx": ".onnx", "tflite": ".tflite"}


def rarely(*values):
    """Mark parameters as too slow for the default tier."""
    return pytest.param(*values, marks=pytest.mark.full)


# Exports that take longest; the full tier runs them.
SLOWEST = {
    ("toy_efficientnet", "tflite"),
    ("toy_googlenet", "tflite"),
    ("toy_inception", "tflite"),
    ("toy_nasnet", "keras"),
    ("toy_nasnet", "tflite"),
    ("toy_senet", "tflite"),
}


def smallest():
    """The first toy of each family, to each target. TFLite's are made of a SavedModel."""
    for family in registry.families():
        for toy in list(registry.family(family).toys)[:1]:
            for to in SUFFIXES:
                often = to != "saved_model" or family in ("resnet", "mobilenet")
                often &= (toy, to) not in SLOWEST
                yield (toy, to) if often else rarely(toy, to)


@pytest.mark.parametrize(("toy", "to"), smallest())
def test_one_of_each_family(toy, to, tmp_path):
    model = network(toy)
    path = tmp_path / f"it{SUFFIXES[to]}"
    done = zoo.export(model, path)
    assert (done.path, done.to) == (path, to)
    x = images(channels=model.input.shape[-1], size=model.input.shape[1])
    expected = model(x).numpy()
    assert apart(expected[:1], expected[1:]) > 0.01  # the image decides
    assert done.difference <= 1e-3
    assert apart(logits(path, x), expected) <= 1e-3
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.full
@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize("to", ["saved_model", "onnx", "tflite"])
def test_every_toy(toy, to, fold, tmp_path):
    model = network(toy)
    done = zoo.export(model, tmp_path / f"it{SUFFIXES[to]}", fold=fold)
    assert done.difference <= 1e-3


@pytest.mark.full
@pytest.mark.parametrize("to", ["saved_model", "onnx", "tflite"])
@pytest.mark.parametrize(
    "options",
    [
        {"act": "elu"},
        {"act": "prelu"},
        {"act": "swish_beta"},
        {"act": "maxout:2"},
        {"norm": "group"},
        {"norm": "layer"},
        {"init": "fixup", "norm": "none"},
        {"padding": "tf"},
        {"recompute": True},
    ],
    ids=str,
)
def test_styles(options, to, tmp_path):
    done = zoo.export(network("toy_resnet", **options), tmp_path / f"it{SUFFIXES[to]}")
    assert done.difference <= 1e-3


@pytest.mark.parametrize("to", ["saved_model", "onnx", "tflite"])
def test_a_fixed_batch_is_the_only_one(to, tmp_path):
    path = tmp_path / f"it{SUFFIXES[to]}"
    zoo.export(network("toy_vgg"), path, batch=2)
    assert logits(path, images(2)).shape == (2, 10)
    if to == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        assert session.get_inputs()[0].shape == [2, 32, 32, 3]
        assert session.get_inputs()[0].type == "tensor(float)"
    if to == "tflite":
        from ai_edge_litert.interpreter import Interpreter

        (image,) = Interpreter(model_path=str(path)).get_input_details()
        assert list(image["shape_signature"]) == [2, 32, 32, 3]
    if to == "saved_model":
        with pytest.raises(Exception, match="shape"):
            logits(path, images(3))


@pytest.mark.parametrize("to", [rarely("keras"), rarely("saved_model"), "onnx"])
def test_sizes_that_vary(to, tmp_path):
    path = tmp_path / f"it{SUFFIXES[to]}"
    model = network("toy_resnet", input_shape=(None, None, 3))
    zoo.export(model, path)
    for size in (32, 41):
        x = images(2, size)
        assert apart(logits(path, x), model(x).numpy()) <= 1e-3


@pytest.mark.parametrize("to", ["keras", rarely("saved_model"), rarely("onnx"), "tflite"])
def test_half_precision(to, tmp_path):
    model = network("toy_vgg")
    sizes = {}
    for dtype in ("float32", "float16"):
        path = tmp_path / f"{dtype}{SUFFIXES[to]}"
        done = zoo.export(model, path, dtype=dtype)
        files = [path] if path.is_file() else list(path.rglob("*.data-*"))
        sizes[dtype] = sum(file.stat().st_size for file in files)
    assert 0 < done.difference <= 1e-2
    assert sizes["float16"] < 0.7 * sizes["float32"]
    x = images()
    assert logits(path, x).dtype == np.float32
    assert apart(logits(path, x), model(x).numpy()) <= 1e-2


def test_keras_alone_opens_its_file(tmp_path, python):
    model = network("toy_resnet")
    zoo.export(model, tmp_path / "it.keras", batch=2)
    np.save(tmp_path / "x.npy", images())
    program = (
        "import keras, numpy as np, sys\n"
        f"model = keras.saving.load_model({str(tmp_path / 'it.keras')!r})\n"
        f"y = model(np.load({str(tmp_path / 'x.npy')!r}))\n"
        f"np.save({str(tmp_path / 'y.npy')!r}, y)\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'zoo']\n"
    )
    python(program)
    assert apart(np.load(tmp_path / "y.npy"), model(images()).numpy()) <= 1e-3


@pytest.mark.quick
def test_layers_that_keras_alone_cannot_open_warn(tmp_path, caplog):
    zoo.export(network("toy_alexnet"), tmp_path / "it.keras")
    assert "Keras has no equivalent of stem_lrn" in caplog.text
    caplog.clear()
    zoo.export(network("toy_preact_resnet"), tmp_path / "other.keras")
    assert not caplog.records


def test_networks_of_less_precision_are_written_in_float32(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = network("toy_vgg")
    finally:
        keras.config.set_dtype_policy("float32")
    done = zoo.export(model, tmp_path / "it.onnx")
    assert done.difference <= 1e-3
    assert apart(logits(tmp_path / "it.onnx", images()), model(images()).numpy()) <= 0.1


def test_auxiliary_heads_are_left_out(tmp_path):
    model = network("toy_googlenet_bn", depths=(1, 3, 1), aux=True)
    assert len(model.outputs) == 3
    zoo.export(model, tmp_path / "it.onnx")
    x = images()
    assert apart(logits(tmp_path / "it.onnx", x), model(x)[0].numpy()) <= 1e-3


# What is wrong, and what is left


@pytest.mark.quick
@pytest.mark.parametrize(
    ("path", "options", "words"),
    [
        ("it.onnx", {"to": "tflite"}, "to='tflite': .* has the suffix of onnx files"),
        ("it", {"to": "onnx"}, "onnx files must end in .onnx"),
        ("it.pb", {}, "unknown suffix; use one of .keras, .onnx, .tflite, .safetensors"),
        ("it.onnx", {"to": "onxx"}, "did you mean 'onnx'"),
        (
            "it.onnx",
            {"dtype": "bfloat16"},
            "dtype='bfloat16': not available for onnx; valid: float32, float16$",
        ),
        ("it.onnx", {"dtype": "float61"}, "did you mean 'float16'"),
        ("it.onnx", {"batch": 0}, "batch=0: not a positive integer"),
        ("it.onnx", {"batch": 2.0}, "batch=2.0: not"),
        ("it.onnx", {"naming": "timm"}, "naming='timm': applies only to safetensors, not to onnx"),
        ("it.safetensors", {"naming": "tim"}, "did you mean 'timm'"),
        ("it.safetensors", {"batch": 2}, "batch=2: does not apply to safetensors"),
        ("full", {}, "contains other things than a SavedModel"),
        ("full", {"to": "saved_model"}, "contains other things than a SavedModel"),
        ("file", {}, "is a file, but a SavedModel is a folder"),
        ("full.onnx", {}, "is a folder, but onnx writes a file"),
    ],
)
def test_invalid_requests(path, options, words, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    (tmp_path / "full.onnx").mkdir()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match=words) as caught:
        zoo.export(None, tmp_path / path, **options)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "full" / "notes.txt").read_text() == "mine"


@pytest.mark.quick
def test_other_objects_than_networks_and_paths_that_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match=r"model='resnet18': not a functional keras\.Model"):
        zoo.export("resnet18", tmp_path / "it.keras")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"path='.*it\.keras': the file cannot be written: "):
        zoo.export(zoo.build("toy_mlp"), tmp_path / "file" / "it.keras")


@pytest.mark.parametrize("to", ["keras", "saved_model"])
def test_a_failed_check_changes_no_files(to, tmp_path, monkeypatch):
    """Float16 differs from the network, by more than nothing."""
    path = tmp_path / f"it{SUFFIXES[to]}"
    model = network("toy_vgg")
    before = zoo.export(model, path)
    old = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    monkeypatch.setitem(checking.TOLERANCES, "float16", 0.0)
    words = (
        r"output \d of image \d is .*, not .*; that is .* of the largest logit, more than the "
        rf"tolerance of 0; '{path}' is not written"
    )
    with pytest.raises(ValueError, match=words):
        zoo.export(model, path, dtype="float16")
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == old
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    with pytest.raises(ValueError, match="more than the tolerance of 0"):
        zoo.export(model, tmp_path / f"new{SUFFIXES[to]}", dtype="float16")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    # Without a fault it is replaced.
    monkeypatch.undo()
    other = network("toy_vgg", num_classes=7)
    assert zoo.export(other, path).difference <= 1e-3
    assert logits(path, images()).shape == (2, 7)
    assert before.path == path
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.quick
def test_networks_that_overflow_are_not_written(tmp_path):
    model = zoo.build("toy_mlp", act="relu")
    (kernel, bias) = model.get_layer("head_dense").get_weights()
    model.get_layer("head_dense").set_weights([kernel * np.nan, bias])
    with pytest.raises(ValueError, match="outputs on random pixels from 0 to 255 are not finite"):
        zoo.export(model, tmp_path / "it.keras")
    assert not list(tmp_path.iterdir())


@keras.saving.register_keras_serializable(package="tests")
class Digamma(keras.layers.Layer):
    """An operation that neither TFLite nor ONNX has."""

    def call(self, x):
        import tensorflow as tf

        return tf.math.digamma(tf.abs(x) + 1)


@pytest.mark.parametrize("to", ["onnx", rarely("tflite")])
def test_an_unsupported_layer_is_named(to, tmp_path):
    whole = network("toy_vgg")
    model = keras.Model(whole.input, Digamma(name="the_odd_one")(whole.output), name="toy_vgg")
    words = f"to='{to}': the converter cannot write toy_vgg; "
    with pytest.raises(ValueError, match=rf"{words}.* the_odd_one \(Digamma\)") as caught:
        zoo.export(model, tmp_path / f"it{SUFFIXES[to]}")
    assert "\n" not in str(caught.value)
    assert "stage1" not in str(caught.value).split(":")[1]
    assert not list(tmp_path.iterdir())


# The command


def test_the_command_on_a_name(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    network("toy_vgg").save_weights("toy.weights.h5")
    assert main(["export", "toy_vgg", "--to", "onnx", "deeper/it.onnx", "--batch=1"]) == 0
    done = capfd.readouterr()
    result = r"its logits differ from the network's by at most \d\.\de-\d+ of the largest"
    assert re.fullmatch(rf"deeper/it\.onnx: written; in onnxruntime \S+, {result}\n", done.out)
    assert done.err.startswith("zoo: toy_vgg has its initial weights and no preprocessing")
    assert len(done.err.splitlines()) == 1
    assert main(["export", "toy_vgg", "it.tflite", "--weights=toy.weights.h5", "--act=elu"]) == 0
    same = zoo.build("toy_vgg", weights="toy.weights.h5", act="elu")
    assert apart(logits(Path("it.tflite"), images()), same(images()).numpy()) <= 1e-3


@pytest.mark.quick
def test_errors_of_the_command_are_one_line(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    for arguments, words in (
        (["toy_vgg", "it.onnx", "--to=tflight"], "did you mean 'tflite'"),
        (["mobilenet_v", "it.onnx"], "did you mean 'mobilenet_v"),
        (["toy_vgg", "it.keras", "--dtype=int8"], "unknown dtype 'int8'"),
        (["toy_vgg", "it.keras", "--akt=elu"], "unknown flag '--akt'"),
        (["toy_vgg", "it.keras", "--weights=imagenet"], "unknown source"),
    ):
        assert main(["export", *arguments]) == 2
        err = capfd.readouterr().err
        assert words in err
        assert len(err.splitlines()) == 1
        assert not list(tmp_path.iterdir())


def test_a_run_directory_takes_raw_pixels(tmp_path, monkeypatch, capfd):
    import recipes

    monkeypatch.chdir(tmp_path)
    run = recipes.train(
        recipes.Recipe(
            model="toy_lenet", data="made_up:24x24x1:4:96", batch_size=16, epochs=1, seed=3
        ),
        run=tmp_path / "run",
        verbose=False,
    )
    capfd.readouterr()
    x = images(5, 24, channels=1)
    for path in (Path("it.onnx"), Path("folder")):
        assert main(["export", "run", str(path)]) == 0
        assert capfd.readouterr().err == ""
        assert apart(logits(path, x), run.model(x).numpy()) <= 1e-3


@pytest.mark.parametrize(
    ("path", "missing"), [("it.onnx", "tf2onnx"), rarely("it.tflite", "ai_edge_litert")]
)
def test_a_missing_package_is_named(path, missing, tmp_path, python):
    program = (
        "import sys\n"
        f"sys.modules[{missing!r}] = None\n"
        "from zoo.__main__ import main\n"
        f"sys.exit(main(['export', 'toy_mlp', {str(tmp_path / path)!r}]))\n"
    )
    done = python(program, check=False)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert missing in line
    assert "pip install 'convnet-zoo[export]'" in line
    assert not list(tmp_path.iterdir())


def test_ctrl_c_leaves_nothing(tmp_path):
    command = [sys.executable, "-m", "zoo", "export", "toy_nasnet", str(tmp_path / "it.onnx")]
    environment = {**os.environ, "PYTHONPATH": str(Path(zoo.__file__).parents[1])}
    running = subprocess.Popen(command, env=environment, stdout=-1, stderr=-1, text=True)
    while running.poll() is None and not list(tmp_path.iterdir()):
        time.sleep(0.01)  # until it writes
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=300)
    assert running.returncode == 130, err
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


# Safetensors

FIXTURES = Path(__file__).parent / "fixtures"
# In CI one small member of each family and naming; the others in the long tier.
QUICK = ("torchvision--resnet18",)
OFTEN = (
    "torchvision--googlenet_bn",
    "torchvision--mobilenet_v3_small",
    "torchvision--densenet121",
    "timm--mobilenetv1_100",
    "timm--efficientnet_b0",
    "timm--resnetv2_50",
    "timm--seresnet50",
)


def fixtures():
    for path in sorted(FIXTURES.glob("*.npz")):
        tier = [pytest.mark.quick] if path.stem in QUICK else []
        if path.stem not in QUICK + OFTEN:
            tier = [pytest.mark.full]
        yield pytest.param(path, id=path.stem, marks=tier)


@pytest.mark.parametrize("fixture", fixtures())
def test_tensors_have_the_librarys_names_and_shapes(fixture, tmp_path, caplog):
    with np.load(fixture) as file:
        theirs, facts = (json.loads(str(file[part])) for part in ("tensors", "facts"))
    shape = (facts["size"], facts["size"], 3)
    make = {"input_shape": shape, **facts["options"]}
    model = zoo.build(facts["model"], seed=1, **make)
    path = tmp_path / "it.safetensors"
    library = "timm_legacy" if "legacy" in fixture.stem else fixture.stem.split("--")[0]
    done = zoo.export(model, path, naming=library)
    assert done.difference == 0
    assert "will give other logits" not in caplog.text
    ours = load_file(path)
    counts = {name: a for name, a in ours.items() if name.endswith(".num_batches_tracked")}
    norms = {name for name in ours if name.endswith(".running_var")}
    assert counts.keys() == {n.replace("running_var", "num_batches_tracked") for n in norms}
    assert all(a.dtype == np.int64 and a.shape == () and a == 0 for a in counts.values())
    weights = {name: list(a.shape) for name, a in ours.items() if name not in counts}
    # Auxiliary heads, which ours does not have
    aux = re.compile(r"(aux[12]|AuxLogits)\.")
    assert weights == {name: shape for name, shape in theirs.items() if not aux.match(name)}
    assert {a.dtype for name, a in ours.items() if name not in counts} == {np.dtype("float32")}
    again = zoo.build(facts["model"], seed=2, **make)
    zoo.load_weights(again, path)
    for a, b in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


@pytest.mark.quick
def test_metadata_of_safetensors(tmp_path, capfd):
    path = tmp_path / "it.safetensors"
    model = zoo.build("resnet18", preprocess="torchvision", input_shape=(32, 32, 3), seed=0)
    zoo.export(model, path, dtype="bfloat16", naming="timm")
    length = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + length])
    assert header["conv1.weight"]["dtype"] == "BF16"
    about = header["__metadata__"]
    assert (about["network"], about["naming"]) == ("resnet18", "torchvision")
    assert about["input"].startswith("pixels 0 to 255, red first, times [0.017")
    again = zoo.build("resnet18", weights=path, input_shape=(32, 32, 3))
    for a, b in zip(model.weights, again.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=2**-8, atol=1e-30)
    assert main(["export", "toy_vgg", str(tmp_path / "b.safetensors"), "--no-fold"]) == 0
    assert "--no-fold has no effect" in capfd.readouterr().err


@pytest.mark.quick
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"act": "elu"},
            "naming=torchvision: that library's network will .* this resnet18.* type='ELU', not",
        ),
        ({"stem": "cifar"}, r"because here stem_conv has strides=\(1, 1\), not \(2, 2\), and 1 m"),
        ({"num_classes": 3}, None),
    ],
)
def test_differences_from_the_librarys_network_warn(options, words, tmp_path, caplog):
    model = zoo.build("resnet18", input_shape=(32, 32, 3), **options)
    zoo.export(model, tmp_path / "it.safetensors")
    assert re.search(words, caplog.text) if words else not caplog.text


@pytest.mark.quick
def test_networks_without_names_elsewhere(tmp_path):
    for name, options, words in (
        ("lenet5", {}, "export to keras, saved_model, onnx or tflite"),
        ("toy_vgg", {"act": "prelu"}, "has layers that torchvision and timm do not have; export"),
    ):
        with pytest.raises(ValueError, match=words):
            zoo.export(zoo.build(name, **options), tmp_path / "it.safetensors")
    with pytest.raises(
        ValueError, match=r"naming='timm': not available for googlenet_bn; valid: torchvision"
    ):
        zoo.export(
            zoo.build("googlenet_bn", input_shape=(64, 64, 3)),
            tmp_path / "it.safetensors",
            naming="timm",
        )
    assert not list(tmp_path.iterdir())


def test_numerically_unstable_networks_are_named(tmp_path):
    model = zoo.build(
        "mlp", hidden=(50,) * 30, act="tanh", init="normal:1", input_shape=(8, 8, 1), seed=0,
        preprocess=keras.layers.Rescaling(1 / 2550, name="input_rescaling"),
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"computes other logits .* when pixels change by a mill"):
        zoo.export(model, tmp_path / "it.onnx")
    assert not list(tmp_path.iterdir())


MEMORY = """
import resource, sys, zoo
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MiB
model = zoo.build("resnet18", input_shape=(32, 32, 3), seed=0)
before = peak()
zoo.export(model, sys.argv[1])
print(peak() - before)
"""


def test_onnx_does_not_copy_the_weights_many_times(tmp_path):
    """tf2onnx alone holds each some seventy times; ResNet-18's are 45 MiB."""
    path = tmp_path / "it.onnx"
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, path], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 1_000
    graph = onnx.load(path).graph
    assert [each.name for each in graph.input] == ["image"]
    held = {each.name for each in graph.initializer}
    assert not [n.op_type for n in graph.node if held.issuperset(n.input)]


def test_exports_are_plain_files(tmp_path):
    """Whoever may read a new file may read an export."""
    (tmp_path / "new").write_text("")
    model = network("toy_mlp")
    for name in ("it.keras", "it.safetensors"):
        target = model if name.endswith("keras") else network("toy_vgg")
        exporting.export(target, tmp_path / name)
        assert (tmp_path / name).stat().st_mode == (tmp_path / "new").stat().st_mode
    assert zipfile.is_zipfile(tmp_path / "it.keras")
