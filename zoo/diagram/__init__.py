"""Draw networks: stages as lanes, blocks as cards, with shapes, parameters and operations."""

import re
from pathlib import Path


def plot(model, path) -> Path:
    """Draw a network as an SVG or PNG picture.

    What is drawn follows from the names of the layers and from the graph, for any family.

    Args:
        model: the name of a network, or a functional keras.Model whose layers are named as in zoo.
        path: the path of the picture, which ends in .svg or .png. An existing file is replaced.

    Returns:
        The path.

    Raises:
        ValueError: the name is unknown, the model cannot be drawn, the suffix is another one, or
            the folder does not exist.
    """
    import keras

    from zoo import registry
    from zoo.diagram.canvas import checked_path, settings, write
    from zoo.diagram.drawing import draw
    from zoo.diagram.reading import outline_of
    from zoo.flattening import graph_of
    from zoo.plan import checked_network, resolve, sketch

    path = checked_path(path)
    if isinstance(model, str):
        model = checked_network(resolve(model), sketch)
    if isinstance(model, keras.Model):
        graph_of(model)  # raises a specific error for a model without a graph of layers
    else:
        raise ValueError(
            f"model={model!r}: neither the name of a network nor a functional keras.Model"
        )
    found = outline_of(model)
    row = registry.catalog().get(model.name)
    stages = re.compile(r"input|stem|stage\d+|fc|head")
    if not all(stages.fullmatch(lane.name) for lane in found.lanes):
        row = None  # another model that happens to have the name of a network
    note = row.paper if row else ""
    if row and row.year and str(row.year) not in note:
        note = f"{note} ({row.year})".strip()
    with settings():
        canvas, width, height = draw(found, model.name, note)
        write(canvas.figure(width, height), path)
    return path
