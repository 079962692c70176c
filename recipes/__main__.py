"""python -m recipes: see recipes.commands."""

from recipes.commands import main

if __name__ == "__main__":
    main()
