"""Run `python -m recipes`, which is the `recipes` command."""

from recipes.cli.main import main

if __name__ == "__main__":
    main()
