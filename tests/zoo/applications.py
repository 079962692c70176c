"""Compare our networks with those of keras.applications, with weights loaded from its files."""

import h5py
import numpy as np
from keras.src.legacy.saving import legacy_h5_format

import zoo


def randomize(model, ends=1.0):
    """Assign random weights and norm statistics that neither shrink nor enlarge activations.

    `ends` scales the last norm of each inverted residual block, because the sums of shortcuts
    and branches grow from block to block in deep networks.
    """
    rng = np.random.default_rng(0)
    for w in model.weights:
        if "kernel" in w.name:
            depthwise = "depthwise" in w.name or w.shape[-1] == 1
            fan = np.prod(w.shape[:2]) if depthwise else np.prod(w.shape[:-1])
            w.assign(rng.standard_normal(w.shape, "float32") * np.float32(np.sqrt(2 / fan)))
        elif w.name in ("gamma", "moving_variance"):
            scale = ends if w.name == "gamma" and "project_bn" in w.path else 1.0
            w.assign(scale * rng.uniform(0.5, 1.5, w.shape))
        elif w.name in ("bias", "beta", "moving_mean"):
            w.assign(rng.normal(size=w.shape) * 0.1)


def twin(theirs, name, folder, ends=1.0, **options):
    """Build our network from a file of `theirs`, whose layout determines the options."""
    randomize(theirs, ends)
    path = folder / f"{name}.h5"
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, theirs)
    model = zoo.build(
        name,
        weights=path,
        input_shape=theirs.input.shape[1:],
        num_classes=theirs.output.shape[-1],
        **options,
    )
    path.unlink()
    return model


def assert_same_logits(ours, theirs, scale=1.0):
    """Compare the logits; `scale` is the factor that `theirs` itself applies to its input."""
    # The images consist of large squares, whose differences survive the averaging of pixels.
    coarse = np.random.default_rng(1).normal(size=(2, 4, 4, 3)).astype("float32")
    size = ours.input.shape[1]
    x = 2 * coarse.repeat(-(-size // 4), 1).repeat(-(-size // 4), 2)[:, :size, :size]
    a, b = ours.predict(x, verbose=0), np.asarray(theirs(x / scale))
    error, differ = np.abs(a - b).max() / np.abs(b).max(), np.ptp(b, 0).max() / np.abs(b).max()
    print(f"{ours.name}: relative difference {error:.1e}, between the images {differ:.2f}")
    assert differ > 0.01  # the image matters
    assert error <= 1e-4
