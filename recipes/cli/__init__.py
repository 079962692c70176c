"""The command line: `recipes COMMAND`."""
