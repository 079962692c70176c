"""The commands of `zoo` for images and filters: predict, filters and neighbours."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.command_line import describe_build_flags
from zoo.early_checks import check_network
from zoo.files import finite
from zoo.quiet import import_keras
from zoo.sample_photos import located
from zoo.terminal import plural, printable

if TYPE_CHECKING:
    from zoo.image_inputs import Item

MODEL = "Run directory, saved model (.keras), or name of a network (see `zoo list`)."
SAMPLES = "sample:china and sample:flower are photos that every installation has."
IMAGES = f"Image files, folders and quoted patterns such as 'photos/*.jpg'; {SAMPLES}"
SOURCE = (
    "Pretrained weights of a named network: a source or the path of a file. "
    "(see `zoo names weights NAME`; default: none)"
)


def add(commands) -> None:
    """Add the commands to the subparsers, each with the default `run(args, build_options)`."""
    predict = _command(
        commands, "predict", "Classify images and folders of images.", predict_command
    )
    predict.add_argument("images", nargs="+", metavar="IMAGE", help=IMAGES)
    predict.add_argument(
        "--top",
        type=int,
        default=5,
        metavar="N",
        help="Number of classes to show for each image. (default: 5)",
    )
    predict.add_argument("--json", action="store_true", help="Print JSON instead of a table.")
    predict.add_argument(
        "--tta",
        action="store_true",
        help="Average the probabilities over ten crops: the middle and the four corners, and their "
        "mirror images, as in AlexNet and `recipes evaluate --tta=10crop`.",
    )
    predict.add_argument(
        "--explain",
        metavar="DIR",
        help="Folder for Grad-CAM pictures, one for each image, which highlight the regions that "
        "support its most likely class. Subfolders are those of the images. (default: none)",
    )
    predict.add_argument(
        "--stage",
        help="Stage whose feature maps --explain uses, such as stage3. (default: the last one with "
        "feature maps)",
    )

    filters = _command(
        commands, "filters", "Draw the filters of the first convolution.", filters_command
    )
    filters.add_argument(
        "--to",
        metavar="FILE",
        default="filters.png",
        help="Picture to write, as .png. (default: filters.png)",
    )

    neighbours = _command(
        commands,
        "neighbours",
        "Find the images whose features are most similar to those of a given image.",
        neighbours_command,
    )
    neighbours.add_argument("folder", metavar="FOLDER", help="Folder of images to search.")
    neighbours.add_argument(
        "--query",
        required=True,
        metavar="IMAGE",
        help=f"Image to compare with; {SAMPLES} (required)",
    )
    neighbours.add_argument(
        "--stage",
        help="Stage whose feature maps, averaged over positions, are compared. (default: the last "
        "one with feature maps)",
    )
    neighbours.add_argument(
        "--count", type=int, default=8, metavar="N", help="Number of images to find. (default: 8)"
    )
    neighbours.add_argument(
        "--to",
        metavar="FILE",
        default="neighbours.png",
        help="Picture to write, as .png. (default: neighbours.png)",
    )


def _command(commands, name: str, about: str, run: Callable) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=about, description=about)
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    parser.add_argument("--weights", metavar="SOURCE", help=SOURCE)
    parser.set_defaults(run=run)
    describe_build_flags(parser)
    return parser


def predict_command(args: argparse.Namespace, options: dict[str, Any]) -> int:
    """Classify images; return 1 if some could not be read or explained, else 0."""
    from zoo import explaining, predicting
    from zoo.explanations import Explanations
    from zoo.image_inputs import expanded
    from zoo.image_reading import find_images

    _from_one("--top", args.top)
    if args.stage is not None and args.explain is None:
        raise ValueError(
            f"--stage={args.stage}: only applies together with --explain=DIR; omit it, or add "
            "--explain"
        )
    places = [place for each in args.images for place in expanded(each)]
    paths = find_images(places)
    if not any(path.exists() for path in paths):
        raise ValueError(f"IMAGE={args.images[0]}: there is no such file or folder; check the path")
    network = _network(args, options, untrained=False)
    network.checked_geometry()
    explanations = None
    if args.explain is not None:
        explaining.maps_of(network.model, args.stage)
        explanations = Explanations(Path(args.explain), places, network, args.stage, _say)
    found: list[dict[str, Any]] = []
    bad = _Unreadable()
    for batch in predicting.batches(network, _progress(_items(paths)), bad, args.tta, say=_say):
        shares = predicting.probabilities(network, batch)
        ranked = (-shares).argsort(-1, kind="stable")[:, : args.top]
        for shown, of_image, best in zip(batch, shares, ranked, strict=True):
            classes = [
                {"class": int(n), "name": network.name_of(n), "probability": float(of_image[n])}
                for n in best
            ]
            found.append({"file": shown.item.name, "predictions": classes})
        if explanations is not None:
            best = ranked[:, 0]
            pictures = explanations.save(batch, best, shares[range(len(batch)), best])
            for entry, path in zip(found[-len(batch) :], pictures, strict=True):
                entry["explanation"] = path and str(path)
    if args.json:
        document = {"model": args.model, "weights": args.weights, "tta": args.tta, "images": found}
        print(json.dumps(finite({**document, "unreadable": bad.entries}), indent=2))
    elif found:
        _print_predictions(found)
    return 1 if bad.entries or (explanations is not None and explanations.failed) else 0


def _print_predictions(found: list[dict[str, Any]]) -> None:
    table = _table("file", "class", "probability")
    for image in found:
        for i, each in enumerate(image["predictions"]):
            name = image["file"] if i == 0 else ""
            table.add_row(_plain(name), _plain(each["name"]), f"{each['probability']:.4f}")
        table.add_section()
    _print(table)


def filters_command(args: argparse.Namespace, options: dict[str, Any]) -> int:
    """Draw the filters of the first convolution."""
    from zoo import pictures

    path = pictures.checked_path(args.to)
    kernel = pictures.first_kernel(_network(args, options).model)
    height, width, channels, count = kernel.shape
    pictures.save(pictures.filter_grid(kernel), path)
    print(f"{path}: {plural(count, 'filter')} of {height}x{width}x{channels}")
    return 0


def neighbours_command(args: argparse.Namespace, options: dict[str, Any]) -> int:
    """Find the images most similar to a query; return 1 if some could not be read, else 0."""
    import numpy as np

    from zoo import inference, pictures, predicting
    from zoo.explaining import maps_of
    from zoo.graph import unwrapped
    from zoo.image_reading import find_images, read_image
    from zoo.surgery import features, stage_of

    _from_one("--count", args.count)
    to = pictures.checked_path(args.to)
    query = Path(os.path.expanduser(located(args.query)))
    folder = Path(os.path.expanduser(args.folder))
    if not query.is_file():
        raise ValueError(f"--query={query}: there is no such file; check the path")
    if not folder.is_dir():
        raise ValueError(f"FOLDER={args.folder}: there is no such folder; check the path")
    paths = [p for p in find_images([folder]) if p.resolve() != query.resolve()]
    if not paths:
        raise ValueError(
            f"FOLDER={args.folder}: has no other images than the query; choose a larger folder"
        )
    network = _network(args, options)
    network.checked_geometry()
    model = unwrapped(network.model)
    stage = args.stage
    if stage is None:
        maps = maps_of(model)
        stage = next(stage_of(layer) for layer in model.layers if layer.output is maps)
    maps = features(model, [stage])

    own, _ = network.views(read_image(query, network.channels))
    (center,) = inference.embeddings(maps, [own])
    bad, read, distances = _Unreadable(), [], []
    for batch in predicting.batches(network, _progress(_items(paths)), bad, say=_say):
        vectors = inference.embeddings(maps, [shown.views for shown in batch])
        read += [shown.item.value for shown in batch]
        distances += np.linalg.norm(vectors - center, axis=-1).tolist()
    nearest = np.argsort(distances, kind="stable")[: args.count]
    written = dict(zip(nearest, pictures.evenly([distances[i] for i in nearest]), strict=True))
    table = _table("file", f"distance in {stage}")
    for i in nearest:
        table.add_row(_plain(str(read[i])), written[i])
    shown = [
        (pictures.as_image(read_image(read[i])), str(read[i].relative_to(folder)), written[i])
        for i in nearest
    ]
    pictures.save(pictures.sheet(pictures.as_image(read_image(query)), shown), to)
    _print(table)
    print(f"{to}: the nearest {len(nearest)} of {plural(len(read), 'image')}")
    return 1 if bad.entries else 0


class _Unreadable:
    """Report unreadable images on standard error, and collect them in `entries`."""

    def __init__(self):
        self.entries: list[dict[str, str]] = []

    def __call__(self, item: "Item", error: ValueError) -> None:
        self.entries.append({"file": item.name, "error": str(error)})
        _say(str(error))


def _network(args: argparse.Namespace, options: dict[str, Any], untrained: bool = True):
    from zoo import inference

    if not untrained and args.weights is None and inference.is_name(args.model):
        raise ValueError(
            f"weights=None: {args.model} would have random weights; pass --weights=SOURCE "
            "(imagenet, keras, torchvision, timm/..., or a path)"
        )
    check_network(args.model, args.weights, options)
    import_keras()
    return inference.open_network(args.model, args.weights, options, _say)


def _say(text: str) -> None:
    print(f"zoo: {printable(text)}", file=sys.stderr)


def _items(paths: list[Path]) -> list["Item"]:
    from zoo.image_inputs import file

    return [file(path) for path in paths]


def _from_one(flag: str, n: int) -> None:
    if n < 1:
        raise ValueError(f"{flag}={n}: must be at least 1")


def _progress(items: list["Item"]) -> Iterable["Item"]:
    """Return the items, with a progress bar on standard error if that is a terminal."""
    from rich.console import Console
    from rich.progress import track

    if not sys.stderr.isatty():
        return items
    return track(items, "images", console=Console(stderr=True), transient=True)


def _table(*columns: str):
    from rich.table import Table

    table = Table()
    for i, column in enumerate(columns):
        last = i == len(columns) - 1
        table.add_column(column, justify="right" if last else "left", overflow="fold")
    return table


def _plain(text: str):
    from rich.text import Text

    return Text(printable(text))


def _print(table) -> None:
    from rich.console import Console

    Console(highlight=False, width=None if sys.stdout.isatty() else 110).print(table)
