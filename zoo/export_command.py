"""The command `zoo export`, which writes a network for other runtimes."""

import argparse
import sys
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
        description="Export a network for another runtime, and check that its outputs there are "
        "the same. The file is written only if they are.",
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
        help="Type of the weights. (float32, float16, in some formats bfloat16; default: float32)",
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
    from zoo import exporting, inference
    from zoo.exporting.requests import checked, import_needs

    request = checked(args.path, to=args.to, batch=args.batch, dtype=args.dtype, naming=args.naming)
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
    done = exporting.write(network.model, request, args.fold is not False)
    what = "weights" if request.to == "safetensors" else "logits"
    differ = f"differ from the network's by at most {done.difference:.1e} of the largest"
    result = "are equal to the network's" if done.difference == 0 else differ
    print(f"{done.path}: written; in {done.by}, its {what} {result}")
    return 0


def _say(text: str) -> None:
    print(f"zoo: {text}", file=sys.stderr)
