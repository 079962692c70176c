"""One file a family: a frozen spec, a table of specs, network()."""
