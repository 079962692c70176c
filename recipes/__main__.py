"""Run `python -m recipes`, which is the `recipes` command."""

from recipes.command_line import main

if __name__ == "__main__":
    main()
