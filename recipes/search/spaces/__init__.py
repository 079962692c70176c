"""Search spaces: axes of fields and options, the default space, grids, equal recipes."""
