"""Checkpoints as training scripts save them: nested, averaged, with another head or none."""

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

import zoo
from tests.zoo import torch_writing as writing
from zoo.checkpoints.layouts import layouts
from zoo.early_checks import check_network

SMALL = {"depths": (1, 1, 1, 1), "width": 8, "input_shape": (32, 32, 3)}
X = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")


def small(**options):
    return zoo.build("resnet18", **{**SMALL, "num_classes": 7, **options})


@pytest.fixture(scope="module")
def source():
    return small(seed=1)


@pytest.fixture(scope="module")
def state(source):
    """The network's state dict under torchvision's names."""
    found = {t.name: np.ascontiguousarray(t.outward()) for t in layouts(source)[0][1]}
    counts = {k.replace("running_mean", "num_batches_tracked"): np.int64(5) for k in found
              if k.endswith("running_mean")}  # fmt: skip
    return found | {k: np.asarray(v) for k, v in counts.items()}


def prefixed(prefix, state):
    return {prefix + name: array for name, array in state.items()}


def other(state):
    """Return other weights under the same names."""
    return {name: np.asarray(array + 1) for name, array in state.items()}


def body(state):
    return {name: array for name, array in state.items() if not name.startswith("fc.")}


def children(state):
    """Rename as in nn.Sequential(*list(network.children())[:-1]), where 2 and 3 have no weights."""
    places = ["conv1.", "bn1.", "relu", "maxpool", "layer1.", "layer2.", "layer3.", "layer4."]
    found = {}
    for name, array in body(state).items():
        place = next(i for i, child in enumerate(places) if name.startswith(child))
        found[name.replace(places[place], f"{place}.", 1)] = array
    return found


def features(model):
    return keras.Model(model.input, model.get_layer("head_pool").output)(X)


ARGS = writing.Call("argparse.Namespace", (), {"lr": 0.1, "model": "resnet18"})
OPTIMIZER = {"state": {0: {"momentum_buffer": np.zeros((8, 3, 7, 7), "float32")}}, "groups": [1]}

# How a state dict is wrapped, and a part of the message about it.
WRAPPED = {
    "plain": (lambda s: s, ""),
    "DataParallel": (
        lambda s: {"epoch": 3, "state_dict": prefixed("module.", s), "best": np.float32([7])},
        "the entry 'state_dict' is loaded; the prefix 'module.' is removed",
    ),
    "torch.compile": (lambda s: prefixed("_orig_mod.", s), "'_orig_mod.' is removed"),
    "compiled after": (lambda s: prefixed("_orig_mod.module.", s), "'_orig_mod.module.'"),
    "compiled before": (lambda s: prefixed("module._orig_mod.", s), "'module._orig_mod.'"),
    "net": (lambda s: prefixed("net.", s), "'net.'"),
    "encoder": (lambda s: {"weights": prefixed("encoder.", s)}, "'encoder.'"),
    "any prefix": (lambda s: {"params": prefixed("a.b2.trunk.", s)}, "'a.b2.trunk.'"),
    "network": (lambda s: {"network": s, "args": ARGS, "optimizer": OPTIMIZER}, ""),
    "an entry in an entry": (lambda s: {"a": {"state": s}, "optimizer": OPTIMIZER}, ""),
    "timm": (
        lambda s: {"state_dict": s, "state_dict_ema": other(s), "optimizer": OPTIMIZER,
                   "arch": "resnet18", "args": ARGS},
        "to load other weights of the file, use weights='.*#state_dict_ema'",
    ),
    "EMA first": (lambda s: {"state_dict_ema": other(s), "state_dict": s}, "#state_dict_ema'"),
    "EMA alone": (lambda s: {"ema": {"module": s}}, ""),
    "torchvision": (
        lambda s: {"model": s, "args": ARGS, "model_ema": {"n_averaged": np.int64([9]),
                   **prefixed("module.", other(s))}},
        "#model_ema'",
    ),
    "DINO": (
        lambda s: {"student": prefixed("module.backbone.", s),
                   "teacher": prefixed("backbone.", other(s)), "args": ARGS},
        "#teacher'",
    ),
    "Lightning": (
        lambda s: {"state_dict": {**prefixed("model.", s), "criterion.weight": np.ones(7, "f4")},
                   "hyper_parameters": {"lr": 0.1}, "pytorch-lightning_version": "2.4.0"},
        r"names without it are not loaded unless they are the head \(criterion.weight\)",
    ),
    "Lightning with EMA": (
        lambda s: {"state_dict": {**prefixed("ema_model.", other(s)), **prefixed("model.", s)}},
        "#state_dict.ema_model'",
    ),
    "mmpretrain": (
        lambda s: {"meta": {}, "state_dict": {**prefixed("backbone.", body(s)),
                   "head.fc.weight": s["fc.weight"], "head.fc.bias": s["fc.bias"]}},
        "the head of resnet18 is loaded from head.fc.weight, head.fc.bias",
    ),
    "dropout before": (
        lambda s: {**body(s), "fc.1.weight": s["fc.weight"], "fc.1.bias": s["fc.bias"]},
        "the head of resnet18 is loaded from fc.1.weight, fc.1.bias",
    ),
    "renamed head": (
        lambda s: {**body(s), "classifier.weight": s["fc.weight"], "classifier.bias": s["fc.bias"]},
        "the head of resnet18 is loaded from classifier.weight, classifier.bias",
    ),
    "children": (
        lambda s: prefixed("backbone.", children(s)), "'backbone.' is removed"
    ),
    "double": (lambda s: {k: v.astype("f8") if v.dtype == "f4" else v for k, v in s.items()}, ""),
}  # fmt: skip


@pytest.mark.parametrize("form", WRAPPED)
def test_wrapped_weights_load_and_what_was_skipped_is_reported(
    form, source, state, tmp_path, caplog
):
    import re

    wrap, words = WRAPPED[form]
    path = tmp_path / "checkpoint.pth.tar"
    writing.save(wrap(state), path, legacy=form in ("plain", "DINO"))
    model = small(weights=str(path), num_classes=0 if form == "children" else 7)
    expected = features(source) if form == "children" else source(X)
    np.testing.assert_allclose(model(X), expected, rtol=1e-5, atol=1e-6)
    assert re.search(words, caplog.text)
    assert bool(caplog.text) == bool(words)


@pytest.mark.quick
def test_a_fragment_selects_one_of_the_weights_in_a_file(source, state, tmp_path, caplog):
    """After "#" stands an entry or a prefix, as the report suggests; file names may contain "#"."""
    path = tmp_path / "a#b.pth"
    writing.save({"state_dict": other(state), "ema": prefixed("module.", state)}, path)
    assert not np.allclose(small(weights=path)(X), source(X))
    choice = caplog.text.split("use weights='")[1].split("'")[0]
    assert choice == f"{path}#ema"
    caplog.clear()
    for text in (choice, f"{path}#module", f"{path}#ema.module"):
        model = small(seed=0)
        zoo.load_weights(model, text)
        np.testing.assert_allclose(model(X), source(X), rtol=1e-5, atol=1e-6)
    assert "to load other weights" not in caplog.text
    check_network("resnet18", choice, {})  # the early check of the command line
    with pytest.raises(ValueError, match=r"has no entry 'none' .*; valid: state_dict, ema"):
        small(weights=f"{path}#none")
    with pytest.raises(ValueError, match="there is no such file"):
        small(weights=f"{tmp_path}/none.pth#ema")


@pytest.mark.quick
def test_the_trained_encoder_of_moco_is_loaded(source, state, tmp_path, caplog):
    """The other encoder is offered, and the projection is not taken for a classifier."""
    projected = {"fc.weight": np.zeros((128, 64), "f4"), "fc.bias": np.zeros(128, "f4")}
    first, second = ({**body(s), **projected} for s in (state, other(state)))
    path = tmp_path / "moco.pth.tar"
    writing.save({"state_dict": {
        **prefixed("module.encoder_k.", second), **prefixed("module.encoder_q.", first),
        "module.queue": np.zeros((128, 16), "f4")}}, path)  # fmt: skip
    model = small(weights=path)
    np.testing.assert_allclose(features(model), features(source), rtol=1e-5, atol=1e-6)
    assert "the prefix 'module.encoder_q.' is removed" in caplog.text
    assert "#state_dict.module.encoder_k'" in caplog.text
    assert "(128 classes)" in caplog.text


HEADS = {
    "none": {},
    "of 3 classes": {"fc.weight": (3, 64), "fc.bias": (3,)},
    "behind a dropout": {"fc.1.weight": (3, 64), "fc.1.bias": (3,)},
    "of two layers": {"fc.0.weight": (9, 64), "fc.0.bias": (9,),
                      "fc.3.weight": (3, 9), "fc.3.bias": (3,)},
    "with a norm": {"fc.0.weight": (64,), "fc.0.running_mean": (64,),
                    "fc.1.weight": (3, 64), "fc.1.bias": (3,)},
    "of another name": {"last.weight": (3, 64), "last.bias": (3,)},
    "of other features": {"fc.weight": (3, 99), "fc.bias": (3,)},
}  # fmt: skip


@pytest.mark.parametrize("head", HEADS)
def test_the_body_loads_whatever_head_the_file_has(head, source, state, tmp_path, caplog):
    """With another number of classes, or none, the head keeps its initial weights."""
    path = tmp_path / "a.pth"
    theirs = {name: np.ones(shape, "f4") for name, shape in HEADS[head].items()}
    writing.save({**body(state), **theirs}, path)
    for classes in (5, 0):
        caplog.clear()
        model = small(num_classes=classes, seed=0, weights=path)
        np.testing.assert_allclose(features(model), features(source), rtol=1e-5, atol=1e-6)
        assert ("head" in caplog.text) == bool(classes or theirs)
        if classes:
            own = small(num_classes=classes, seed=0).get_layer("head_dense").get_weights()
            np.testing.assert_array_equal(model.get_layer("head_dense").get_weights()[0], own[0])


@pytest.mark.quick
@pytest.mark.parametrize("head", ["of two layers", "with a norm", "of other features"])
def test_a_head_for_the_same_classes_that_does_not_fit_is_an_error(head, source, state, tmp_path):
    """The advice in the error works."""
    path = tmp_path / "a.pth"
    theirs = {name: np.ones(shape, "f4") for name, shape in HEADS[head].items()}
    writing.save({**body(state), **theirs}, path)
    with pytest.raises(ValueError, match=r"num_classes=3: .*zoo\.new_head\(model, 3\)") as error:
        small(num_classes=3, weights=path)
    assert "nothing was loaded" in str(error.value)
    model = zoo.new_head(small(num_classes=0, weights=path), 3)
    assert model.output.shape == (None, 3)
    np.testing.assert_allclose(features(model), features(source), rtol=1e-5, atol=1e-6)


@pytest.mark.quick
def test_a_file_without_a_head_needs_a_number_of_classes(state, tmp_path, caplog):
    """The default number of classes would give an untrained classifier."""
    writing.save(body(state), tmp_path / "a.pth")
    with pytest.raises(ValueError, match="has no classifier for resnet18"):
        zoo.build("resnet18", **SMALL, weights=tmp_path / "a.pth")
    zoo.load_weights(small(), tmp_path / "a.pth")
    assert "keeps its initial head" in caplog.text


@pytest.mark.quick
def test_missing_and_unexpected_tensors_of_the_body_are_an_error(state, tmp_path):
    """They are listed, also for a file whose names have a prefix."""
    wrong = {**body(state), "layer2.0.more.weight": np.zeros((3, 3), "f4")}
    del wrong["layer1.0.conv1.weight"]
    save_file(prefixed("net.", wrong), tmp_path / "a.safetensors")
    for classes in (7, 0):
        with pytest.raises(
            ValueError, match=r"missing: layer1\.0\.conv1\.weight; unexpected: laye"
        ):
            small(num_classes=classes, weights=tmp_path / "a.safetensors")


def test_old_names_of_densenets_load(tmp_path):
    """Torchvision wrote them before version 0.3; here they have a prefix, too."""
    import re

    options = {"depths": (1, 1), "growth": 4, "input_shape": (32, 32, 3), "num_classes": 3}
    source = zoo.build("densenet121", seed=1, **options)
    found = {t.name: np.ascontiguousarray(t.outward()) for t in layouts(source)[0][1]}
    old = {re.sub(r"(denselayer\d+\.\w+)(\d)\.", r"\1.\2.", k): v for k, v in found.items()}
    assert old.keys() != found.keys()
    writing.save(prefixed("module.", old), tmp_path / "a.pth")
    model = zoo.build("densenet121", weights=tmp_path / "a.pth", **options)
    np.testing.assert_allclose(model(X), source(X), rtol=1e-5, atol=1e-6)


def test_our_own_network_nested_in_a_model_loads(source, tmp_path, caplog):
    """The body is loaded; the last layer of the outer model is not the head of the network."""
    outer = keras.Sequential([small(num_classes=0, seed=1), keras.layers.Dense(3)])
    outer.save_weights(tmp_path / "a.weights.h5")
    for classes in (0, 5):
        model = small(num_classes=classes, weights=tmp_path / "a.weights.h5")
        np.testing.assert_allclose(features(model), features(source), rtol=1e-5, atol=1e-6)
    assert "head" in caplog.text
