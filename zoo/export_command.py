"""The command `zoo export`, which writes a network for other runtimes."""

import argparse
import sys
from dataclasses import replace
from typing import Any

from zoo.command_line import describe_build_flags
from zoo.early_checks import check_network
from zoo.image_commands import MODEL, SOURCE
from zoo.quiet import import_keras


def add(commands) -> None:
    """Add the command to the subparsers, with the default `run(args, build_options)`."""
    parser = commands.add_parser(
        "export",
        help="Export a network for another runtime, and check its outputs there.",
        description="Export a network for another runtime, and compare its outputs there with "
        "those of the network. If they do not agree, nothing is written.",
    )
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    parser.add_argument(
        "path", metavar="PATH", help="File to write, or the folder of a SavedModel."
    )
    parser.add_argument(
        "--to",
        metavar="TARGET",
        help="Format of the file. (keras, saved_model, onnx, tflite, safetensors; default: chosen "
        "by the suffix of PATH)",
    )
    parser.add_argument("--weights", metavar="SOURCE", help=SOURCE)
    parser.add_argument("--batch", type=int, metavar="N", help="Fixed batch size. (default: any)")
    parser.add_argument(
        "--dtype",
        default="float32",
        metavar="DTYPE",
        help="Type of the weights. (float32, float16, in some formats bfloat16 or int8; default: "
        "float32)",
    )
    parser.add_argument(
        "--calibrate",
        nargs="+",
        metavar="IMAGE",
        help="Images, folders or patterns on which --dtype int8 measures the range of each feature "
        "map: about a hundred images like those to classify.",
    )
    parser.add_argument(
        "--fold",
        action=argparse.BooleanOptionalAction,
        help="Fold batch norms into the kernels next to them, or keep them. (default: fold)",
    )
    parser.add_argument(
        "--naming",
        metavar="LIBRARY",
        help="Library whose tensor names are used in safetensors. (torchvision, timm, timm_legacy; "
        "default: the first that has names for this network)",
    )
    parser.set_defaults(run=export_command)
    describe_build_flags(parser)


def export_command(args: argparse.Namespace, options: dict[str, Any]) -> int:
    """Export a network, and print how its outputs or weights compare."""
    from zoo import exporting, inference
    from zoo.exporting.requests import checked, import_needs
    from zoo.image_inputs import paths_listed

    images = None if args.calibrate is None else paths_listed(args.calibrate)
    request = checked(
        args.path, to=args.to, batch=args.batch, dtype=args.dtype, naming=args.naming,
        calibration=images,
    )  # fmt: skip
    if args.fold is not None and request.to == "safetensors":
        _say(f"--{'' if args.fold else 'no-'}fold has no effect: safetensors are never folded")
    name = inference.is_name(args.model)
    check_network(args.model, args.weights, options)
    import_keras()
    import_needs(request.to)  # before a download
    network = inference.open_network(args.model, args.weights, options, _say)
    if name and args.weights is None and "preprocess" not in options:
        _say(
            f"{args.model} has its initial weights and no preprocessing; add pretrained weights "
            "and their preprocessing with --weights=SOURCE, or only the latter with "
            "--preprocess=SOURCE"
        )
    if images is not None:
        request = replace(request, calibration=_pixels(network, images))
    done = exporting.write(network.model, request, args.fold is not False)
    what = "weights" if request.to == "safetensors" else "logits"
    differ = f"differ from the network's by at most {done.difference:.1e} of the largest"
    result = "are equal to the network's" if done.difference == 0 else differ
    if done.agreement is not None:
        result = (
            f"differ from the network's by {done.difference:.1%} of their standard deviation (root "
            f"mean square), and the class is the same for {done.agreement:.1%} of the "
            f"{len(request.calibration)} calibration images"
        )
    print(f"{done.path}: written; in {done.by}, its {what} {result}")
    return 0


def _pixels(network, images: list):
    """Return what the network is shown of the images, as uint8 (images, height, width, channels).

    Raises:
        ValueError: no image can be read.
    """
    import numpy as np

    from zoo.image_inputs import listed
    from zoo.image_reading import UnreadableImage

    shown = []
    for item in listed(images, network.channels):
        try:
            (view,), _ = network.views(item.read(network.channels))
        except UnreadableImage as error:
            _say(f"{error}; the image is skipped")
        else:
            shown.append(np.rint(view).clip(0, 255).astype(np.uint8))
    if not shown:
        raise ValueError("--calibrate: none of the images can be read; name others")
    return np.stack(shown)


def _say(text: str) -> None:
    print(f"zoo: {text}", file=sys.stderr)
