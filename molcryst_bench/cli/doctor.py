"""``molcryst doctor``: whether everything that a run needs is here and works."""

from __future__ import annotations

import click


@click.command()
@click.option(
    "--executor", metavar="NAME", help="A .yaml file, or the name of one in conf/executors."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=600.0,
    show_default=True,
    help="Seconds to wait for a worker, which may have to queue.",
)
def doctor(executor: str | None, timeout: float) -> None:
    """Check the installation, the project, and that the executor works with one tiny task.

    The executor is that of params.yaml unless another is named.
    """
    from molcryst_bench.base.errors import RunError
    from molcryst_bench.bench.executors.check import check_executor
    from molcryst_bench.bench.health import check_installation, check_project
    from molcryst_bench.cli.console import console

    failed = 0
    checks = [*check_installation(), *check_project()]
    with console.status("Waiting for a worker ..."):
        checks += check_executor(executor, timeout)
    for check in checks:
        mark, style = ("ok", "green") if check.good else ("no", "red")
        failed += not check.good
        console.print(f"[{style}]{mark}[/{style}]  ", end="")
        console.print(check.words, highlight=False, markup=False, soft_wrap=True)
    if failed:
        raise RunError(f"{failed} of {len(checks)} checks failed")
