"""python -m recipes: see recipes.command_line."""

from recipes.command_line import main

if __name__ == "__main__":
    main()
