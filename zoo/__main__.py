"""The `zoo` command: list, show and plot networks, and the commands of other modules."""

import argparse
import os
import re
import sys

from zoo import export_command, image_commands, registry
from zoo.command_line import Parser, build_options, describe_build_flags
from zoo.files import one_line
from zoo.interrupts import exit_code, freed, remembered
from zoo.names_command import KINDS, names
from zoo.options import unknown
from zoo.plan import Plan, checked_network, resolve, sketch
from zoo.quiet import import_keras
from zoo.terminal import escape_unencodable, installed_version, printable


def main(argv: list[str] | None = None) -> int:
    """Run one command line; return 0, 1 if something failed, or 2 for bad input."""
    escape_unencodable()
    argv = sys.argv[1:] if argv is None else argv
    parser, commands = _parser()
    try:
        if argv == ["--version"]:
            print(installed_version())
            return 0
        if argv and argv[0] == "help":
            argv = [*argv[1:2], "--help"]
        with remembered(second_exits=True):
            if argv and not argv[0].startswith("-") and argv[0] not in commands:
                raise unknown("command", argv[0], commands, "`zoo --help`")
            args, flags = parser.parse_known_args(argv)
            return _run(args, flags, commands[args.command])
    except KeyboardInterrupt as stop:
        freed(stop)
        return exit_code(stop)
    except (ValueError, OSError) as error:
        if isinstance(error, BrokenPipeError):  # the reader of a pipe, such as head, has stopped
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"zoo: {printable(one_line(error))}", file=sys.stderr)
        return 2


def _parser() -> tuple[Parser, dict[str, argparse.ArgumentParser]]:
    """Return the parser and those of the commands, by name."""
    parser = Parser(
        prog="zoo",
        description="Convolutional networks for Keras: list, inspect, draw, use and export them.",
        epilog="`zoo COMMAND --help` describes the arguments of a command.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listed = commands.add_parser(
        "list",
        help="List the networks, one per line, with parameters and papers.",
        description="List the networks, one per line, with parameters and papers.",
    )
    listed.add_argument(
        "patterns",
        nargs="*",
        default=["*"],
        metavar="PATTERN",
        help="Shell patterns of names, such as 'res*'. (default: all networks)",
    )
    listed.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PATTERN",
        help="Shell pattern of names to leave out; can be repeated. (default: none)",
    )
    named = commands.add_parser(
        "names",
        help="Print the valid names of one kind, such as activations or weights.",
        description="Print the valid names of one kind, one per line.",
    )
    named.add_argument("kind", metavar="KIND", help=f"One of {', '.join(KINDS)}.")
    named.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help="Name of a network, only for the kind weights. (default: all networks)",
    )
    for name, about in (
        ("show", "Print a table of a network's stages: shapes, parameters, operations and norms."),
        (
            "plot",
            "Draw a network's stages and blocks, with shapes, parameters and operations; or "
            "norms; or activations.",
        ),
    ):
        command = commands.add_parser(name, help=about, description=about)
        command.add_argument(
            "name",
            metavar="NAME",
            nargs="?" if name == "plot" else None,
            help="Name of a network (see `zoo list`).",
        )
        if name == "plot":
            command.add_argument(
                "--norms",
                nargs="*",
                metavar="NORM",
                help="Instead of a network, draw which values these norms normalize together. "
                "(default: batch, layer, instance and group:2)",
            )
            command.add_argument(
                "--acts",
                nargs="*",
                metavar="ACT",
                help="Instead of a network, draw these activations and their slopes. "
                "(default: all activations)",
            )
            command.add_argument(
                "--to",
                metavar="FILE",
                help="Picture to write, as .svg or .png. (default: NAME.svg, norms.svg, acts.png)",
            )
        describe_build_flags(command)
    image_commands.add(commands)
    export_command.add(commands)
    return parser, commands.choices  # type: ignore[return-value]


def _run(args: argparse.Namespace, flags: list[str], parser: argparse.ArgumentParser) -> int:
    own = [flag for flag in parser._option_string_actions if flag.startswith("--")]
    if args.command in ("list", "names"):
        if flags:
            raise unknown("flag", flags[0], own, f"`zoo {args.command} --help`")
        if args.command == "names":
            return names(args.kind, args.model)
        return list_command(args.patterns, args.exclude)
    options = build_options(flags, args.command, own)
    if "run" in args:
        return args.run(args, options)
    if args.command == "plot":
        if args.norms is not None and args.acts is not None:
            raise ValueError(
                "--norms, --acts: these are two pictures; leave out the one or the other"
            )
        if args.norms is not None:
            return plot_norms_command(args.norms, args.name, args.to, options)
        if args.acts is not None:
            return plot_acts_command(args.acts, args.name, args.to, options)
        return plot_command(args.name, args.to, options)
    return show_command(args.name, options)


def list_command(patterns: list[str], exclude: list[str]) -> int:
    found = registry.list_models(*patterns, exclude=exclude)
    if not found:
        raise unknown("model", " ".join(patterns), registry.catalog(), "`zoo list`")
    width = max(map(len, found))
    for name in found:
        row = registry.catalog()[name]
        cost = f"{row.parameters / 1e6:8.2f} M" if row.parameters is not None else " " * 10
        print(f"{name:{width}} {cost}  {row.year or '':4}  {row.paper}".rstrip())
    return 0


def plan_of(command: str, name: str, options: dict[str, object]) -> Plan:
    for given in ("name", "preprocess", "weights"):
        if given in options:
            raise ValueError(
                f"{given}={options[given]!r}: `zoo {command}` takes no {given}; leave it out"
            )
    return resolve(name, **options)  # type: ignore[arg-type]


def plot_norms_command(
    names: list[str], network: str | None, to: str | None, options: dict[str, object]
) -> int:
    from zoo.diagram.norms import DEFAULT, plot_norms

    if network is not None or options:
        given = network or f"--{next(iter(options))}"
        raise ValueError(f"{given}: --norms draws no network; leave out the one or the other")
    import_keras()
    print(plot_norms("norms.svg" if to is None else to, names or DEFAULT))
    return 0


def plot_command(name: str | None, to: str | None, options: dict[str, object]) -> int:
    from zoo import diagram
    from zoo.diagram.canvas import checked_path

    if name is None:
        raise ValueError("plot: NAME is missing; pass the name of a network, or --norms or --acts")
    plan = plan_of("plot", name, options)
    path = checked_path(f"{name}.svg" if to is None else to)
    import_keras()
    print(diagram.plot(checked_network(plan, sketch), path))
    return 0


def plot_acts_command(
    names: list[str], network: str | None, to: str | None, options: dict[str, object]
) -> int:
    from zoo.act_curves import checked_acts, plot_acts
    from zoo.diagram.canvas import checked_path

    if network is not None or options:
        given = network or f"--{next(iter(options))}"
        raise ValueError(f"{given}: --acts draws no network; leave out the one or the other")
    path, names = checked_path("acts.png" if to is None else to), checked_acts(names)
    import_keras()
    print(plot_acts(path, names))
    return 0


def show_command(name: str, options: dict[str, object]) -> int:
    plan = plan_of("show", name, options)
    import_keras()

    from rich.console import Console
    from rich.table import Table

    from zoo.complexity import by_stage

    stages = by_stage(checked_network(plan, sketch))
    row = registry.find(name)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    console.print(f"[bold]{name}[/bold]  {row.paper}" + (f" ({row.source})" if row.source else ""))
    console.print(f"input  {'x'.join(map(str, plan.input_shape))}, {plan.num_classes} classes")
    console.print(f"spec   {plan.spec}", f"style  {plan.style}", sep="\n", soft_wrap=True)
    table = Table("stage")
    for column in ("output", "layers", "depth", "parameters", "MACs (M)", "with norm"):
        table.add_column(column, justify="right")
    table.add_column("without norm")
    for s in stages:
        table.add_row(
            s.name,
            "x".join(map(str, s.output)),
            str(s.layers),
            str(s.depth),
            f"{s.parameters:,}",
            "varies" if s.macs is None else f"{s.macs / 1e6:,.1f}",
            f"{s.kernels - len(s.bare)} of {s.kernels}" if s.kernels else "",
            ", ".join(dict.fromkeys(_place(name) for name in s.bare)),
        )
    costs, kernels = [s.macs for s in stages], sum(s.kernels for s in stages)
    table.add_section()
    table.add_row(
        "total",
        "",
        str(sum(s.layers for s in stages)),
        str(stages[-1].depth),
        f"{sum(s.parameters for s in stages):,}",
        "varies" if None in costs else f"{sum(c for c in costs if c is not None) / 1e6:,.1f}",
        f"{kernels - sum(len(s.bare) for s in stages)} of {kernels}",
    )
    console.print(table)
    return 0


def _place(layer: str) -> str:
    """Return a layer's position in its block, such as "se_squeeze" for the layer
    "stage2_block3_se_squeeze_conv".
    """
    return re.sub(r"^(stage\d+_)?(block\d+_)?|_?(conv|dense)$", "", layer) or "conv"


if __name__ == "__main__":
    sys.exit(main())
