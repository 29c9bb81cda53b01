"""What goes wrong with recipes."""

from __future__ import annotations

from devenv.errors import DevenvError


class RecipeError(DevenvError):
    """A recipe cannot be made into a derivation, or a build of it cannot go on. `recipe` is its name."""

    def __init__(self, message: str, *, recipe: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.recipe = recipe


class PhaseError(RecipeError):
    """The phases of a recipe cannot be put in an order. `phases` are those concerned."""

    def __init__(
        self, message: str, *, recipe: str = "", phases: tuple[str, ...] = (), hint: str | None = None
    ) -> None:
        super().__init__(message, recipe=recipe, hint=hint)
        self.phases = phases
