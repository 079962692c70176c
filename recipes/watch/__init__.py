"""The page that shows searches and runs while they train, and the same page as one file."""
