"""python -m zoo list ['res*' ...] | show NAME [--act=elu ...] | plot NAME [--to FILE]
| predict MODEL IMAGE ... | filters MODEL | neighbours MODEL FOLDER --query IMAGE
| export MODEL PATH [--to TARGET]"""

import argparse
import ast
import os
import re
import sys

from zoo import export_command, image_commands, registry
from zoo.interrupts import freed, remembered
from zoo.plan import Plan, checked_network, resolve, sketch
from zoo.quiet import import_keras


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m zoo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    names = commands.add_parser("list", help="the networks, a line each")
    names.add_argument("patterns", nargs="*", default=["*"], metavar="PATTERN")
    names.add_argument("--exclude", action="append", default=[], metavar="PATTERN")
    show = commands.add_parser(
        "show",
        help="a network by stage: shapes, parameters, operations, norms",
        description="Further flags are what zoo.build takes: --act=elu --input_shape=64,64,3",
    )
    show.add_argument("name")
    plot = commands.add_parser(
        "plot",
        help="a picture of a network: stages, blocks, shapes, parameters, operations",
        description="Further flags are what zoo.build takes: --act=elu --input_shape=64,64,3",
        allow_abbrev=False,
    )
    plot.add_argument("name")
    plot.add_argument("--to", metavar="FILE", help=".svg or .png; NAME.svg without")
    image_commands.add(commands)
    export_command.add(commands)
    args, flags = parser.parse_known_args(argv)
    try:
        with remembered():
            return _run(args, flags)
    except KeyboardInterrupt as stop:
        freed(stop)
        return 130
    except ValueError as error:
        print(f"zoo: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe, head say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(args: argparse.Namespace, flags: list[str]) -> int:
    if args.command == "list":
        if flags:
            raise ValueError(f"list takes no {flags[0]}; it takes PATTERN and --exclude")
        return list_command(args.patterns, args.exclude)
    options = build_options(flags)
    if "run" in args:
        return args.run(args, options)
    if args.command == "plot":
        return plot_command(args.name, args.to, options)
    return show_command(args.name, options)


def build_options(flags: list[str]) -> dict[str, object]:
    """["--act=elu", "--depths=(1,1)"] as the keyword arguments of zoo.build."""
    options = {}
    for flag in flags:
        name, equals, text = flag.removeprefix("--").partition("=")
        if not (flag.startswith("--") and name and equals):
            raise ValueError(f"{flag!r} is not an option: write --name=value, such as --act=elu")
        try:
            options[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            options[name] = text
    return options


def list_command(patterns: list[str], exclude: list[str]) -> int:
    found = registry.list_models(*patterns, exclude=exclude)
    if not found:
        raise ValueError(f"no network is called {' or '.join(patterns)}; try python -m zoo list")
    width = max(map(len, found))
    for name in found:
        row = registry.catalog()[name]
        cost = f"{row.parameters / 1e6:8.2f} M" if row.parameters is not None else " " * 10
        print(f"{name:{width}} {cost}  {row.year or '':4}  {row.paper}".rstrip())
    return 0


def plan_of(command: str, name: str, options: dict[str, object]) -> Plan:
    for given in ("name", "preprocess", "weights"):
        if given in options:
            raise ValueError(f"{command} takes no {given}: it draws the network itself")
    return resolve(name, **options)  # type: ignore[arg-type]


def plot_command(name: str, to: str | None, options: dict[str, object]) -> int:
    from zoo import diagram
    from zoo.diagram.canvas import checked_path

    plan = plan_of("plot", name, options)
    path = checked_path(f"{name}.svg" if to is None else to)
    import_keras()
    print(diagram.plot(checked_network(plan, sketch), path))
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
    for column in ("output", "layers", "parameters", "MACs (M)", "with norm"):
        table.add_column(column, justify="right")
    table.add_column("without norm")
    for s in stages:
        table.add_row(
            s.name,
            "x".join(map(str, s.output)),
            str(s.layers),
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
        f"{sum(s.parameters for s in stages):,}",
        "varies" if None in costs else f"{sum(c for c in costs if c is not None) / 1e6:,.1f}",
        f"{kernels - sum(len(s.bare) for s in stages)} of {kernels}",
    )
    console.print(table)
    return 0


def _place(layer: str) -> str:
    """Where in its block a layer stands: "stage2_block3_se_squeeze_conv" is "se_squeeze"."""
    return re.sub(r"^(stage\d+_)?(block\d+_)?|_?(conv|dense)$", "", layer) or "conv"


if __name__ == "__main__":
    sys.exit(main())
