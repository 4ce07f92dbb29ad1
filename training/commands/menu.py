"""The command `duoact-train`: its commands by name, each loaded when it is run; what they do stands in their modules.

Loading all of them, with torch below them, takes seconds that help and typing errors need not wait for.
"""

from importlib import import_module
from typing import Any, NamedTuple, cast

import typer
from typer.core import TyperCommand, TyperGroup

EXIT_CODES = (
    "Exit codes: 0 done; 1 failed, and the message says what to change; 2 arguments that make no sense; 130 "
    "interrupted, 143 terminated, 137 killed: run the same command again, fit with --resume, which "
    "begins where nothing was begun. A bundle is replaced, and a version published, as a whole or not at all. "
    "A launcher of several processes ends with 1, whatever the failure."
)


class LazyCommand(NamedTuple):
    """A command that is not loaded yet: where it is, and the first line of what it says of itself."""

    module: str
    attribute: str
    help: str

    @property
    def name(self) -> str:
        """What is typed."""
        return self.attribute.rpartition("_")[0].replace("_", "-")


COMMANDS = (
    LazyCommand(
        "ablate",
        "ablate_command",
        "Run a table of the paper on a data folder, seed by seed; repeat the command to go on, or to share the work.",
    ),
    LazyCommand(
        "align",
        "align_command",
        "Measure retrieval of translations both ways and, with videos, Chinese alone; say if the branch may go on.",
    ),
    LazyCommand(
        "bundle",
        "backbone_command",
        "Turn public weights into a backbone folder; weights that are not here are fetched.",
    ),
    LazyCommand(
        "bundle",
        "bundle_command",
        "Turn public weights into a serving bundle: plain CLIP, frames averaged, verified on every engine.",
    ),
    LazyCommand(
        "configure",
        "configure_command",
        "Write the config.pbtxt of a bundle's graphs for other devices, batch sizes and queues than the default.",
    ),
    LazyCommand(
        "cost",
        "cost_command",
        "Compare memory and time of training parts of a model with full fine-tuning; needs no weights and no data.",
    ),
    LazyCommand("data", "data_app", "Bring official data sets into data folders, and check these."),
    LazyCommand(
        "demo",
        "demo_command",
        "Build the demo bundle from nothing: render, pre-train, align, fit, evaluate, export, verify.",
    ),
    LazyCommand("evaluate", "evaluate_command", "Evaluate a run by a protocol; report and rankings go to its folder."),
    LazyCommand(
        "export",
        "export_command",
        "Export a run as a bundle, with the labels it was fitted on as a label set, or as its classes.",
    ),
    LazyCommand(
        "figures",
        "figures_command",
        "Draw maps over videos, t-SNE, confusion, curves and lambda of a run, with the data behind each.",
    ),
    LazyCommand("fit", "fit_command", "Fit a recipe's adapters on a data folder."),
    LazyCommand(
        "importing",
        "import_command",
        "Import a released checkpoint as a run, which evaluate and export take; nothing in the file is executed.",
    ),
    LazyCommand(
        "info", "info_command", "Count parameters by group and multiply-accumulates of a view; needs no weights."
    ),
    LazyCommand(
        "label_cost",
        "label_cost_command",
        "Time the embedding of labels with rows as long as needed, and padded to the towers' full length.",
    ),
    LazyCommand(
        "publish",
        "publish_command",
        "Publish a bundle as a new version in a Triton model repository, or take the last version back.",
    ),
    LazyCommand(
        "retrieve",
        "retrieve_command",
        "Measure R@1, R@5, R@10 and median rank of captions and videos; the report goes to the run's folder.",
    ),
    LazyCommand("export", "verify_command", "Prove that a bundle gives the same answers on every engine."),
)


def load(late: LazyCommand) -> TyperCommand | TyperGroup:
    """Load a command, or a group of commands."""
    found = getattr(import_module(f"training.commands.{late.module}"), late.attribute)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False)
        alone.command(late.name)(found)
        found = alone
    return cast("TyperCommand | TyperGroup", typer.main.get_command(found))


def _stand_in(late: LazyCommand) -> type[TyperCommand]:
    """Make the kind of command that becomes the one meant as soon as it is given arguments."""

    class StandIn(TyperCommand):
        def make_context(self, *arguments: Any, **settings: Any) -> Any:  # noqa: ANN401 - as in the library
            return load(late).make_context(*arguments, **settings)

    return StandIn


app = typer.Typer(
    help="Adapt frozen CLIP to video, evaluate it and export bundles.", epilog=EXIT_CODES, no_args_is_help=True
)
for _late in COMMANDS:
    app.command(_late.name, cls=_stand_in(_late), help=_late.help)(lambda: None)
