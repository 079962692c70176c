"""Pictures of networks: stages as lanes, blocks as cards, shapes, parameters and operations."""

import re
from pathlib import Path


def plot(model, path) -> Path:
    """Draw a network to a picture, SVG or PNG by the suffix of `path`.

    Args:
        model: a functional keras.Model whose layers are named as zoo's, or a network's name.
        path: of the picture; what is there already is replaced.

    Returns:
        The path.

    Raises:
        ValueError: an unknown name, another suffix, or a folder that does not exist.

    What is drawn is read from the names of the layers and from the graph, for any family.
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
        graph_of(model)  # says what is wrong with a model that has no graph of layers
    else:
        raise ValueError(f"{model!r} is neither a network's name nor a functional keras.Model")
    found = outline_of(model)
    row = registry.catalog().get(model.name)
    stages = re.compile(r"input|stem|stage\d+|fc|head")
    if not all(stages.fullmatch(lane.name) for lane in found.lanes):
        row = None  # a namesake
    note = row.paper if row else ""
    if row and row.year and str(row.year) not in note:
        note = f"{note} ({row.year})".strip()
    with settings():
        canvas, width, height = draw(found, model.name, note)
        write(canvas.figure(width, height), path)
    return path
