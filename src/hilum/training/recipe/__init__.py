"""A recipe: everything that decides how a network is trained, as one typed TOML file."""

from hilum.recipes import shipped_recipes
from hilum.training.recipe.reading import changed, load_recipe, read_recipe, recipe_from
from hilum.training.recipe.recipe import (
    BINARY,
    AgeGroup,
    Architecture,
    Detector,
    Finder,
    Frozen,
    Input,
    Loss,
    Lungs,
    Opacity,
    Optimizer,
    Phase,
    Recipe,
    RecipeError,
    Schedule,
    Selection,
    Training,
)
from hilum.training.recipe.writing import to_toml

__all__ = [
    "BINARY",
    "AgeGroup",
    "Architecture",
    "Detector",
    "Finder",
    "Frozen",
    "Input",
    "Loss",
    "Lungs",
    "Opacity",
    "Optimizer",
    "Phase",
    "Recipe",
    "RecipeError",
    "Schedule",
    "Selection",
    "Training",
    "changed",
    "load_recipe",
    "read_recipe",
    "recipe_from",
    "shipped_recipes",
    "to_toml",
]
