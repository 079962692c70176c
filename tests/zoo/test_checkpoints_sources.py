"""Named sources of weights: their facts, and networks built from them, with a local server."""

import dataclasses
import hashlib
import http.server
import inspect
import json
import re
import threading

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format
from safetensors.numpy import save

import zoo
from zoo.checkpoints import keras_names, sources
from zoo.checkpoints.layouts import layouts

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Serve files by path, with the headers of the Hugging Face Hub; return (address, files)."""
    contents = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            self.reply(False)

        def do_GET(self):
            self.reply(True)

        def reply(self, body):
            content = contents.get(self.path)
            if content is None:
                self.send_response(404)
                self.send_header("X-Error-Code", "RepoNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *_):
            pass

    monkeypatch.setenv("CONVNET_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", contents
        server.shutdown()


def randomize(model):
    rng = np.random.default_rng(0)
    for w in model.weights:
        if w.name == "kernel":
            w.assign(rng.normal(size=w.shape) * np.sqrt(2 / np.prod(w.shape[:-1])))
        elif w.name in ("gamma", "moving_variance"):
            w.assign(rng.uniform(0.5, 1.5, w.shape))
        elif "seed" not in w.name:
            w.assign(rng.normal(size=w.shape) * 0.1)


def pixels(size=64):
    return np.random.default_rng(1).integers(0, 256, (2, size, size, 3)).astype("float32")


def close(a, b):
    assert np.abs(a - b).max() <= 1e-4 * np.abs(b).max()


# The table


@pytest.mark.quick
def test_every_source_has_a_network_and_valid_options():
    for model, of_model in sources.table().items():
        for source in of_model.values():
            zoo.resolve(model, **source.options)
            assert source.url or source.package or source.name.startswith("timm/")
            assert 0.5 < source.crop <= 1
            assert source.top1 is None or 55 < source.top1 < 90
    for model, options in sources.architectures().values():
        zoo.resolve(model, **options)


@pytest.mark.quick
def test_all_networks_with_published_weights_have_sources():
    table = sources.table()
    of_keras = {model for model, of_model in table.items() if "keras" in of_model}
    assert of_keras == set(keras_names.APPLICATIONS)
    assert all("imagenet" in of_model for of_model in table.values())
    # The others are not for ImageNet, or have no published weights.
    missing = {model for model in zoo.list_models() if model not in table}
    assert all(
        zoo.describe(m)["classes"] == 10 or m.startswith("plain") for m in missing
    ) or missing <= {
        m for m in missing if zoo.describe(m)["classes"] == 10 or m.startswith("plain")
    } | {"alexnet", "zfnet", "googlenet", "densenet264", "preact_resnet200"}


def test_urls_hashes_and_preprocessing_are_those_of_keras_applications():
    """URLs and hashes are looked up in its code; preprocessing is compared by its results."""
    for model, of_model in sources.table().items():
        if "keras" not in of_model:
            continue
        source = of_model["keras"]
        function = getattr(keras.applications, keras_names.APPLICATIONS[model])
        module = inspect.getmodule(inspect.unwrap(function))
        code = inspect.getsource(module)
        if "resnet" in model and "inception" not in model:
            code += inspect.getsource(keras.src.applications.resnet)
        if source.hash:
            assert source.hash.removeprefix("md5:") in code, model
        url = re.sub(r'"\s*f?"', "", code)  # join strings that are split into parts
        assert "/".join(source.url.split("/")[:4]) in url, model
        x = pixels(4)
        if "mobilenet_v3" in model or "efficientnet" in model:
            continue  # preprocessing is a part of the model, whose logits are compared elsewhere
        theirs = module.preprocess_input(x.copy())
        ours = (x - np.float32(source.mean)) / np.float32(source.deviation)
        np.testing.assert_allclose(ours[..., ::-1] if source.bgr else ours, theirs, atol=1e-4)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("model", "weights", "words"),
    [
        ("resnet50", "torchvison", "unknown source of resnet50's weights 'torchvison'; did you me"),
        ("resnet50", "timm/resnet5.a1_in1k", "unknown architecture, in weights=.* 'resnet5'; did"),
        ("resnet50", "timm/resnet18.a1_in1k", "these weights are for resnet18, not for resnet50"),
        ("resnet20", "imagenet", "unknown source of resnet20's weights 'imagenet'"),
        ("resnet50", "folder/none", "weights='folder/none': there is no such file"),
        ("resnet50", 3, "neither the name of a source nor a path"),
        ("resnet5", "imagenet", "unknown model 'resnet5'"),
    ],
)
def test_an_unknown_source_is_an_error(model, weights, words):
    with pytest.raises(ValueError, match=words):
        zoo.source(model, weights)
    with pytest.raises(ValueError, match=words):
        zoo.build(model, weights=weights)


# Networks built from a source


def keras_file(model, folder):
    path = folder / "weights.h5"
    with h5py.File(path, "w") as group:
        legacy_h5_format.save_weights_to_hdf5_group(group, model)
    return path.read_bytes()


def local(source, content, address, contents):
    contents["/weights.h5"] = content
    hashed = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return dataclasses.replace(source, url=f"{address}/weights.h5", hash=hashed)


def test_a_source_takes_raw_pixels(serve, tmp_path, caplog):
    """With the options and preprocessing of keras.applications, also when folded and saved."""
    theirs = keras.applications.MobileNetV2((64, 64, 3), weights=None, classifier_activation=None)
    randomize(theirs)
    source = local(zoo.source("mobilenet_v2", "keras"), keras_file(theirs, tmp_path), *serve)
    model = zoo.build("mobilenet_v2", weights=source, input_shape=(64, 64, 3))
    x = pixels()
    logits = theirs(keras.applications.mobilenet_v2.preprocess_input(x.copy()))
    close(model(x), logits)
    assert [layer.name for layer in model.layers if layer.name.startswith("input_")] == [
        "input_image",
        "input_rescaling",
    ]
    plain = zoo.fold_batchnorm(model)
    plain.save(tmp_path / "plain.keras")
    close(keras.models.load_model(tmp_path / "plain.keras")(x), logits)
    # Without preprocessing, or with that of another source.
    own = zoo.build("mobilenet_v2", weights=source, input_shape=(64, 64, 3), preprocess=False)
    close(own(x / 127.5 - 1), logits)
    other = zoo.build(
        "mobilenet_v2", weights=source, input_shape=(64, 64, 3), preprocess="torchvision"
    )
    close(other((x / 127.5 - 1) * np.float32(IMAGENET[1]) * 255 + np.float32(IMAGENET[0]) * 255),
          logits)  # fmt: skip
    # Our default options differ from those of the source.
    with pytest.raises(ValueError, match=r"stem_conv has padding='symmetric', not 'same', and"):
        zoo.load_weights(zoo.build("mobilenet_v2", input_shape=(64, 64, 3)), source)
    zoo.load_weights(zoo.build("mobilenet_v2", input_shape=(64, 64, 3), **source.options), source)
    assert "were made with" not in caplog.text
    zoo.build("mobilenet_v2", weights=source, padding="symmetric", input_shape=(64, 64, 3))
    assert "padding='symmetric', but the weights of keras were made with 'tf'" in caplog.text


def test_weights_for_bgr_images_are_converted_to_rgb(serve, tmp_path):
    """VGG of keras.applications takes BGR images; our network of that source takes RGB."""
    options = {"hidden": (8, 8), "input_shape": (32, 32, 3), "grid": 1}
    source = zoo.build("vgg16", seed=1, **options)
    arrays = {t.name: t.outward() for layout, ts in layouts(source) for t in ts
              if layout.name == "torchvision"}  # fmt: skip
    path = tmp_path / "vgg16.safetensors"
    path.write_bytes(save({k: np.ascontiguousarray(v) for k, v in arrays.items()}))
    x = pixels(32)
    logits = source(keras.applications.vgg16.preprocess_input(x.copy()))
    facts = zoo.source("vgg16", "keras")
    assert facts.bgr
    close(zoo.build("vgg16", weights=path, preprocess="keras", **options)(x), logits)
    # Without `preprocess`, weights of a file are used as they are.
    close(zoo.build("vgg16", weights=path, **options)(x), source(x))


def test_a_download_with_another_hash_is_rejected_and_removed(serve, tmp_path):
    source = local(zoo.source("vgg16", "keras"), b"weights", *serve)
    wrong = dataclasses.replace(source, hash="md5:64373286793e3c8b2b4e3219cbf3544b")
    with pytest.raises(ValueError, match="is not the expected one, and was removed"):
        zoo.build("vgg16", weights=wrong)
    assert not list((tmp_path / "cache").iterdir())


HUB = """
import json, sys
import numpy as np
import zoo

x = np.load(sys.argv[1])
model = zoo.build("mobilenet_v3_small", weights="timm/mobilenetv3_small_050.made_up")
facts = zoo.source("mobilenet_v3_small", "timm/mobilenetv3_small_050.made_up")
print(json.dumps([facts.size, facts.crop, facts.interpolation, facts.classes]))
np.save(sys.argv[2], model(x))
try:
    zoo.build("mobilenet_v3_small", weights="timm/mobilenetv3_small_050.none")
except ValueError as error:
    print(error)
"""


def test_a_model_of_the_hugging_face_hub_loads_with_its_facts(serve, tmp_path, python):
    """Its config.json gives the facts; huggingface_hub downloads the weights."""
    address, contents = serve
    theirs = zoo.build("mobilenet_v3_small", multiplier=0.5, norm_epsilon=1e-5, num_classes=11,
                       stem_width=32, input_shape=(64, 64, 3))  # fmt: skip
    randomize(theirs)
    tensors = next(ts for layout, ts in layouts(theirs) if layout.name == "timm")
    arrays = {t.name: np.ascontiguousarray(t.outward()) for t in tensors}
    facts = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "input_size": [3, 32, 32]}
    facts |= {"test_input_size": [3, 64, 64], "crop_pct": 0.9, "test_crop_pct": 0.95}
    folder = "/timm/mobilenetv3_small_050.made_up/resolve/main"
    contents[f"{folder}/config.json"] = json.dumps(
        {"num_classes": 11, "pretrained_cfg": {**facts, "interpolation": "bicubic"}}
    ).encode()
    contents[f"{folder}/model.safetensors"] = save(arrays)
    x = pixels()
    np.save(tmp_path / "x.npy", x)
    program = HUB.replace("sys.argv[1]", repr(str(tmp_path / "x.npy")))
    done = python(
        program.replace("sys.argv[2]", repr(str(tmp_path / "y.npy"))),
        HF_ENDPOINT=address,
        HF_HOME=str(tmp_path / "hub"),
        HF_HUB_DISABLE_XET="1",
        HF_HUB_DISABLE_TELEMETRY="1",
    )
    *_, printed, error = done.stdout.strip().splitlines()
    assert json.loads(printed) == [64, 0.95, "bicubic", 11]
    logits = theirs((x / 255 - np.float32(facts["mean"])) / np.float32(facts["std"]))
    close(np.load(tmp_path / "y.npy"), logits)
    assert error.startswith(
        "weights='timm/mobilenetv3_small_050.none': cannot download config.json from the Hugging "
        "Face Hub: "
    )
