"""Recipes: what a study runs, in TOML, checked before anything runs."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from jgc.study.method import Method, Name
from jgc.study.rows import did_you_mean
from jgc.study.toml import Table

RECIPES = Path(__file__).parent / "recipes"
DEEPEST = 32  # Parts of a dotted key; recipes have three.

# A description says what is allowed: it is the second half of every error about the key.
Count = Annotated[StrictInt | None, Field(ge=1, description="a whole number >= 1")]
CountOr0 = Annotated[StrictInt | None, Field(ge=0, description="a whole number >= 0")]
Rate = Annotated[StrictFloat | None, Field(ge=0, lt=1, description="a rate in [0, 1)")]
Step = Annotated[StrictFloat | None, Field(gt=0, description="a number > 0")]
Decay = Annotated[StrictFloat | None, Field(ge=0, description="a number >= 0")]
Share = Annotated[StrictFloat | None, Field(gt=0, le=1, description="a share in (0, 1]")]
Fall = Annotated[
    Annotated[StrictFloat, Field(gt=0, le=1)] | Literal["cosine"] | None,
    Field(description='a factor an epoch in (0, 1], or "cosine"'),
]
Switch = Annotated[StrictBool | None, Field(description="true or false")]


class Settings(Table):
    """Settings of a model and its training; what is absent is the model's or the task's default.

    `patience` and `grades_threshold` each switch on a way to end early (`jgc.train.Stopping`).

    Example:
        >>> Settings(hidden=16, patience=100).hidden
        16
    """

    hidden: Count = None
    layers: Count = None
    heads: Count = None
    dropout: Rate = None
    input_dropout: Rate = None
    head_dropout: Rate = None
    batch_norm: Switch = None
    narrowing: Count = None
    bias: Switch = None
    head_layers: Annotated[StrictInt | None, Field(ge=1, le=2, description="1 or 2")] = None
    readout: Annotated[
        Literal["sum", "mean", "max"] | None, Field(description='"sum", "mean" or "max"')
    ] = None
    epochs: Count = None
    finetune_epochs: CountOr0 = None
    learning_rate: Step = None
    weight_decay: Decay = None
    rule: Annotated[Literal["adam", "sgd"] | None, Field(description='"adam" or "sgd"')] = None
    momentum: Rate = None
    nesterov: Switch = None
    rate_decay: Fall = None
    batch_size: Count = None
    metric: Annotated[StrictStr | None, Field(min_length=1, description="a name in quotes")] = None
    choose: Annotated[StrictStr | None, Field(min_length=1, description="a name in quotes")] = None
    parts: Count = None
    devices: Count = None
    wire: Annotated[Literal["float32", "int8"] | None, Field(description='"float32" or "int8"')] = (
        None
    )
    kfac_damping: Step = None
    guess_power: Step = None
    patience: Count = None
    grades_threshold: Decay = None
    grades_grace: Rate = None
    grades_interval: Count = None
    grades_max_frozen: Share = None
    grades_rebuilds: CountOr0 = None

    @model_validator(mode="after")
    def _grades_has_a_threshold(self) -> "Settings":
        if self.grades_threshold is None and self.grades:
            raise ValueError(
                f"`grades_{min(self.grades)}` needs `grades_threshold`: a number >= 0."
            )
        return self

    @property
    def grades(self) -> dict[str, Any]:
        """The settings of `jgc.train.GradES` that are given, by its names; empty without it.

        Example:
            >>> Settings(grades_threshold=0.001, grades_grace=0.1).grades
            {'threshold': 0.001, 'grace': 0.1}
        """
        given = self.model_dump(exclude_none=True)
        start = "grades_"
        return {n.removeprefix(start): given[n] for n in given if n.startswith(start)}


class Run(Table):
    """One model on one data set, compressed in several ways.

    Attributes:
        dataset: A name of `jgc.data.names()`.
        task: By default that of the model, or else of the data set.
        split: By default the data set's own.
        splits: How many splits are drawn; seed i takes split i modulo their number. By default the
            number that the split comes with.
        model: A name of `jgc.models.MODELS`.
        settings: Of the model and its training.
        method: Ways of compressing.

    Example:
        >>> Run(dataset="cora", model="gcn", method=[Method(name="dense")]).task is None
        True
    """

    tables: ClassVar = {"settings": Settings, "method": Method}

    dataset: Name
    task: Annotated[
        Literal["node", "link", "graph"] | None, Field(description='"node", "link" or "graph"')
    ] = None
    split: Annotated[StrictStr | None, Field(min_length=1, description="a name in quotes")] = None
    splits: Count = None
    model: Name
    settings: Settings = Field(Settings(), description="a table [run.settings]")
    method: tuple[Method, ...] = Field(min_length=1, description="one [[run.method]] or more")

    def titles(self) -> list[str]:
        """What each method is about, in the words of the recipe: `"cora link gcn global"`."""
        words = [word for word in (self.dataset, self.task, self.model) if word]
        return [" ".join([*words, method.label]) for method in self.method]


class Recipe(Table):
    """What a study runs.

    Attributes:
        name: Names the default output folder.
        seeds: Every run is repeated with seeds `0 .. seeds - 1`.
        measure: Rows also tell latency, memory, energy where the machine can read it, and every
            score that fits the labels.
        run: The runs, in order.

    Example:
        >>> run = Run(dataset="sbm", model="gcn", method=[Method(name="dense")])
        >>> Recipe(name="mine", seeds=3, run=[run]).n_rows
        3
    """

    tables: ClassVar = {"run": Run}

    name: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = Field(
        description="letters, digits, `.`, `_` and `-` (it names a folder)"
    )
    seeds: StrictInt = Field(10, ge=1, le=1000, description="a whole number in 1..1000")
    measure: StrictBool = Field(False, description="true or false")
    run: tuple[Run, ...] = Field(min_length=1, description="one [[run]] or more")

    @property
    def n_rows(self) -> int:
        """Number of result rows that the study ends with."""
        return self.seeds * sum(len(m.levels) for run in self.run for m in run.method)

    def with_seeds(self, seeds: int) -> "Recipe":
        """The same recipe with another number of seeds.

        Raises:
            ValueError: if `seeds` is outside 1..1000.
        """
        return Recipe.checked(self.model_dump(exclude_defaults=True) | {"seeds": seeds}, self.name)

    def only(self, text: str) -> "Recipe":
        """The part of the recipe whose titles (`"cora link gcn global"`) hold all words of a text.

        Raises:
            ValueError: if no title does.

        Example:
            >>> [run.dataset for run in named_recipe("quickstart").only("gin qat").run]
            ['motif']
        """
        words = set(text.split())
        kept = []
        for run in self.run:
            pairs = zip(run.titles(), run.method, strict=True)
            method = tuple(m for title, m in pairs if words <= set(title.split()))
            kept += [run.model_copy(update={"method": method})] if method else []
        if not kept:
            titles = [title for run in self.run for title in run.titles()]
            raise ValueError(f"`--only {text}` leaves nothing of: {'; '.join(titles)}.")
        return self.model_copy(update={"run": tuple(kept)})


def load_recipe(source: str | Path) -> Recipe:
    """Reads and checks a recipe.

    Args:
        source: Path of a TOML file, or TOML text (anything with a line break).

    Returns:
        The `Recipe`.

    Raises:
        ValueError: naming file and place, for bad TOML, an unknown key (with the nearest known
            one), a missing key, or a value outside its range.
        OSError: if the file cannot be read.

    Example:
        >>> recipe = load_recipe('''
        ... name = "cora"
        ... [[run]]
        ... dataset = "cora"
        ... model = "gcn"
        ... [[run.method]]
        ... name = "dense"
        ... ''')
        >>> recipe.seeds, recipe.run[0].model, recipe.n_rows
        (10, 'gcn', 10)
    """
    is_text = isinstance(source, str) and "\n" in source
    place = "recipe" if is_text else str(source)
    try:
        text = str(source) if is_text else Path(source).read_bytes().decode()
        # tomllib takes a time that grows with the square of a key's parts.
        if any(piece.count(".") > DEEPEST for piece in re.split(r"[,=\[\]{}\n]", text)):
            raise ValueError(f"a key of more than {DEEPEST} parts")
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place}: not TOML: {error}.") from None
    return Recipe.checked(tables, place)


def recipe_names() -> list[str]:
    """Names of the recipes that come with jgc.

    Example:
        >>> "quickstart" in recipe_names()
        True
    """
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def named_recipe(name: str) -> Recipe:
    """A recipe that comes with jgc.

    Args:
        name: One of `recipe_names()`.

    Raises:
        ValueError: for an unknown name.

    Example:
        >>> named_recipe("quickstart").name
        'quickstart'
    """
    if name not in recipe_names():
        raise ValueError(f"No recipe is called `{name}`{did_you_mean(name, recipe_names())}")
    return load_recipe(RECIPES / f"{name}.toml")
