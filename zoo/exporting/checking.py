"""Run an exported file in its own runtime, and compare its logits with the network's."""

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

import numpy as np

from zoo import registry
from zoo.exporting import quantizing
from zoo.exporting.requests import Request
from zoo.files import one_line
from zoo.lazy import keras, tensorflow
from zoo.quiet import muted

IMAGES = 3
# The largest allowed difference, relative to the largest logit. In half precision it is about 20
# times the rounding error of one number, which is 2^-11 (float16) or 2^-8 (bfloat16).
TOLERANCES = {"float32": 1e-3, "float16": 1e-2, "bfloat16": 1e-1}
# The largest allowed root mean square error of int8, relative to the logits' standard deviation.
QUANTIZED = 0.5
_PACKAGES = {
    "keras": "keras",
    "saved_model": "tensorflow",
    "onnx": "onnxruntime",
    "tflite": "ai-edge-litert",
}


def reader(to: str) -> str:
    """Return the package that reads a target, with its version."""
    return f"{_PACKAGES[to]} {importlib.metadata.version(_PACKAGES[to])}"


def difference(reference, network, path: Path, request: Request) -> float:
    """Return the largest difference between the logits of an exported file and of `reference`.

    It is relative to the largest logit of `reference`, on batches of random pixels.

    Args:
        reference: the network that computes the expected logits.
        network: the network that was exported. Its name and input shape are used.
        path: the exported file or folder.
        request: the export's request.

    Raises:
        ValueError: the difference is larger than TOLERANCES allows, the file cannot be opened or
            run, or the expected logits are not finite.
    """
    run = _opened(network, path, request)
    worst = 0.0
    for x in _images(network):
        ours = np.asarray(keras.ops.convert_to_numpy(reference(x, training=False)), "float64")
        if not np.isfinite(ours).all():
            raise ValueError(
                f"model={network.name}: its outputs on random pixels from 0 to 255 are not finite, "
                "so the export cannot be checked; train it, or load weights or a preprocessing "
                "layer"
            )
        theirs = run(x)
        try:
            worst = max(worst, _compared(ours, theirs, network.name, request))
        except ValueError as error:
            raise ValueError(f"{error}{_instability(reference, x, ours)}") from None
    return worst


def quantized(reference, network, path: Path, request: Request) -> tuple[float, float]:
    """Compare the logits of a quantized file on the calibration images with those of `reference`.

    Returns:
        The root mean square difference, relative to the standard deviation of the logits of
        `reference`, and the fraction of the images to which both assign the same class.

    Raises:
        ValueError: the difference is larger than QUANTIZED allows, or the file cannot be run.
    """
    run, count = _opened(network, path, request), len(request.calibration)
    ours, theirs = [], []
    for x in quantizing.batches(network, request.calibration, 32):
        ours.append(keras.ops.convert_to_numpy(reference(x, training=False)))
        theirs.append(run(x))
    expected, found = (np.concatenate(each)[:count].astype("float64") for each in (ours, theirs))
    error = np.sqrt(np.square(found - expected).mean())
    difference = float(error / max(expected.std(), np.finfo("float32").tiny))
    if not difference <= QUANTIZED:
        raise ValueError(
            f"dtype='int8': the logits of {network.name} change by {difference:.0%} of their "
            f"standard deviation, more than {QUANTIZED:.0%}; calibrate on images like those it was "
            "trained on, or export float16. Squeeze-and-excitation and activations other than ReLU "
            f"and ReLU6 lose the most; {str(request.path)!r} is not written"
        )
    return difference, float((expected.argmax(-1) == found.argmax(-1)).mean())


def _opened(network, path: Path, request: Request) -> Callable[[np.ndarray], np.ndarray]:
    """Open an exported file in its runtime; return the function from images to float64 logits.

    Raises:
        ValueError: it cannot be opened. The function raises it if the file cannot be run.
    """
    by = reader(request.to)
    try:
        with muted():
            logits = RUNTIMES[request.to](path)
    except Exception as error:
        raise ValueError(f"{by} cannot open the exported file: {one_line(error, 300)}") from error

    def run(x: np.ndarray) -> np.ndarray:
        try:
            with muted():
                return np.asarray(logits(x), "float64")
        except Exception as error:
            raise ValueError(
                f"{by} cannot run {network.name} on images of shape {x.shape}: "
                f"{one_line(error, 300)}"
            ) from error

    return run


def _instability(reference, x: np.ndarray, ours: np.ndarray) -> str:
    """Return a note for the error if the network is numerically unstable, else "".

    A deep network with its initial weights may amplify rounding errors so much that no two runtimes
    agree.
    """
    near = x * (1 + 1e-6 * np.random.default_rng(0).normal(size=x.shape))
    theirs = np.asarray(keras.ops.convert_to_numpy(reference(near.astype(x.dtype))), "float64")
    moved = float(np.abs(theirs - ours).max() / np.abs(ours).max())
    if not moved > TOLERANCES["float32"]:
        return ""
    return (
        "; the network is numerically unstable: its own logits change by "
        f"{moved:.1e} when pixels change by a millionth"
    )


def _compared(ours: np.ndarray, theirs: np.ndarray, name: str, request: Request) -> float:
    """Return the largest relative difference, or raise a ValueError if it is too large."""
    by, limit = reader(request.to), TOLERANCES[request.dtype]
    if ours.shape != theirs.shape:
        raise ValueError(f"{by} returns shape {theirs.shape} for {name}, expected {ours.shape}")
    apart = np.abs(ours - theirs)
    apart = np.where(np.isfinite(theirs), apart, np.inf)
    found = float(apart.max() / max(np.abs(ours).max(), np.finfo("float32").tiny))
    if found > limit:
        image, *rest = (int(i) for i in np.unravel_index(apart.argmax(), apart.shape))
        where = (image, *rest)
        raise ValueError(
            f"{by} computes other logits than {name}: output {', '.join(map(str, rest))} of image "
            f"{image} is {theirs[where]:.6g}, not {ours[where]:.6g}; that is {found:.1e} of the "
            f"largest logit, more than the tolerance of {limit:g}; {str(request.path)!r} is not "
            "written"
        )
    return found


def _images(network) -> list[np.ndarray]:
    """Return batches of pixels; two batch sizes or image sizes if the network takes any."""
    batch, height, width, channels = network.input.shape
    try:
        usual = registry.find(network.name).input_shape
    except ValueError:  # the user gave the model a name of their own
        usual = (224, 224, 3)
    batches = [batch] if batch else [IMAGES, 1]
    sizes = [(height or usual[0], width or usual[1])]
    if None in (height, width):
        sizes.append((height or sizes[0][0] + 32, width or sizes[0][1] + 32))
    found = [pixels((n, *sizes[0], channels), seed=n) for n in batches]
    return found + [pixels((batches[0], *size, channels)) for size in sizes[1:]]


def pixels(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Return float32 images with values from 0 to 255: random patches with noise on them.

    The patches make images differ on a large scale, unlike noise alone.
    """
    draw = np.random.default_rng(seed)
    n, height, width, channels = shape
    coarse = draw.uniform(32, 223, (n, 4, 4, channels))
    rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
    noise = draw.uniform(-32, 32, shape)
    return np.rint(coarse[:, rows][:, :, columns] + noise).astype("float32")


def _keras(path: Path) -> Callable:
    model = keras.saving.load_model(path, compile=False)
    return lambda x: keras.ops.convert_to_numpy(model(x, training=False))


def _saved_model(path: Path) -> Callable:
    loaded = tensorflow.saved_model.load(str(path))
    return lambda x: loaded.serve(tensorflow.constant(x)).numpy()


def _onnx(path: Path) -> Callable:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    return lambda x: session.run(None, {image.name: x})[0]


def _tflite(path: Path) -> Callable:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    (image,), (logits,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(x: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(image["index"], x.shape)
        interpreter.allocate_tensors()
        if image["dtype"] != np.float32:
            scale, zero = image["quantization"]
            limits = np.iinfo(image["dtype"])
            x = np.rint(x / scale + zero).clip(limits.min, limits.max).astype(image["dtype"])
        interpreter.set_tensor(image["index"], x)
        interpreter.invoke()
        y = interpreter.get_tensor(logits["index"])
        if logits["dtype"] == np.float32:
            return y
        scale, zero = logits["quantization"]
        return (y.astype(np.float32) - zero) * scale

    return run


RUNTIMES = {"keras": _keras, "saved_model": _saved_model, "onnx": _onnx, "tflite": _tflite}
