"""The families of networks: one file for each, with a frozen spec, a table of specs, network()."""
