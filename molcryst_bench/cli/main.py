"""``molcryst``: the command line. Verbs are imported when they are called, so help is instant."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from molcryst_bench.base.errors import MolcrystError, unknown_name

INTERRUPTED = 130  # what shells expect after Ctrl-C


class LazyGroup(click.Group):
    """A group whose commands live in modules that are imported on first use."""

    def __init__(self, *args: Any, lazy: dict[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy  # name -> ("module:attribute", one line of help)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which one uses them."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self.lazy:
            return None
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or say which one was probably meant."""
        if args[0] not in self.lazy:
            raise click.UsageError(unknown_name("command", args[0], self.lazy), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.lazy.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    lazy={
        "data": ("molcryst_bench.cli.data:data", "Fetch, build, check and show datasets."),
        "models": ("molcryst_bench.cli.models:models", "List models, or show one in full."),
        "train": ("molcryst_bench.cli.train:train", "Train one model on one task."),
        "tune": ("molcryst_bench.cli.tune:tune", "Search for good hyperparameters."),
        "searches": ("molcryst_bench.cli.searches:searches", "Show what searches have found."),
        "bench": ("molcryst_bench.cli.bench:bench", "Run the benchmark, or see how far it is."),
        "transfer": (
            "molcryst_bench.cli.transfer:transfer",
            "Run models on molecules they have not seen.",
        ),
        "interpret": (
            "molcryst_bench.cli.interpret:interpret",
            "Look into all models: attributions, maps, roughness.",
        ),
        "repro": ("molcryst_bench.cli.repro:repro", "Run the whole pipeline, as far as needed."),
        "predict": ("molcryst_bench.cli.predict:predict", "Predict with a trained model."),
        "md": ("molcryst_bench.cli.md:md", "Run molecular dynamics with a trained model."),
        "explain": ("molcryst_bench.cli.explain:explain", "Say which atoms a prediction rests on."),
        "embed": (
            "molcryst_bench.cli.embed:embed",
            "Write and map what a model makes of data.",
        ),
        "rogi": ("molcryst_bench.cli.rogi:rogi", "Say how rough a property is in representations."),
        "report": ("molcryst_bench.cli.report:report", "Make or show the leaderboard."),
        "verify": (
            "molcryst_bench.cli.verify:verify",
            "Check a number against the files it comes from.",
        ),
        "submit": ("molcryst_bench.cli.submit:submit", "Enter a model by its predictions."),
        "profile": ("molcryst_bench.cli.profile:profile", "Choose or check the settings."),
        "doctor": ("molcryst_bench.cli.doctor:doctor", "Check that everything a run needs works."),
    },
)
@click.version_option(package_name="molcryst_bench")
def molcryst() -> None:
    """Datasets and benchmarks for AI models of molecules, crystals and MOFs."""


def run() -> None:
    """Run the command line; errors that are meant for people are shown without a traceback."""
    try:
        molcryst.main(standalone_mode=False)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except MolcrystError as error:
        click.secho(f"Error: {error}", err=True, fg="red")
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted. Run the same command again to go on.", err=True)
        sys.exit(INTERRUPTED)
