"""export: the command of `zoo` that writes a network for other runtimes."""

import argparse
import sys
from typing import Any

from zoo.command_line import describe_build_flags
from zoo.early_checks import check_network
from zoo.image_commands import MODEL, SOURCE
from zoo.quiet import import_keras


def add(commands) -> None:
    """Adds the command to the subparsers, with `run(args, build_options)`."""
    parser = commands.add_parser(
        "export",
        help="Write a network for other runtimes, and check it there.",
        description="Write a network for other runtimes, and check it there.",
    )
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    parser.add_argument("path", metavar="PATH", help="File to write; for a SavedModel, the folder.")
    parser.add_argument(
        "--to",
        metavar="TARGET",
        help="Format. (keras, saved_model, onnx, tflite, safetensors; default: by PATH's suffix)",
    )
    parser.add_argument("--weights", metavar="SOURCE", help=SOURCE)
    parser.add_argument("--batch", type=int, metavar="N", help="Fixed batch size. (default: any)")
    parser.add_argument(
        "--dtype",
        default="float32",
        metavar="DTYPE",
        help="Type of the weights. (float32, float16, bfloat16 in some formats; default: float32)",
    )
    parser.add_argument(
        "--fold",
        action=argparse.BooleanOptionalAction,
        help="Fold batch norms into kernels, or keep them. (default: fold)",
    )
    parser.add_argument(
        "--naming",
        metavar="LIBRARY",
        help="Library whose names the tensors get in safetensors. (torchvision, timm; default: "
        "the first that fits)",
    )
    parser.set_defaults(run=export_command)
    describe_build_flags(parser)


def export_command(args: argparse.Namespace, options: dict[str, Any]) -> int:
    from zoo import exporting, inference
    from zoo.exporting.requests import checked, import_needs

    request = checked(args.path, to=args.to, batch=args.batch, dtype=args.dtype, naming=args.naming)
    if args.fold is not None and request.to == "safetensors":
        _say("safetensors hold the network's own tensors: --fold and --no-fold change nothing")
    name = inference.is_name(args.model)
    check_network(args.model, args.weights, options)
    import_keras()
    import_needs(request.to)  # before a download
    network = inference.open_network(args.model, args.weights, options, _say)
    if name and args.weights is None and "preprocess" not in options:
        _say(
            f"{args.model} has its initial weights and no preprocessing: "
            "--weights=SOURCE brings both, --preprocess=SOURCE the latter"
        )
    done = exporting.write(network.model, request, args.fold is not False)
    same = "weights are equal" if done.difference == 0 else f"equal to {done.difference:.1e}"
    if request.to != "safetensors":
        same = f"the same logits to {done.difference:.1e}"
    print(f"{done.path}: {same} in {done.by}")
    return 0


def _say(text: str) -> None:
    print(f"zoo: {text}", file=sys.stderr)
