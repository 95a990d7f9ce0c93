# SPDX-License-Identifier: Apache-2.0
"""`cosim policies`, `cosim scenarios`, `cosim devices`."""

from typing import Annotated

import typer

from bridge.network import RequestError
from cosim.screen.output import console

PolicyName = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="One of them, or FILE.py or FILE.py:CLASS of your own.")
]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Lay one value over it.")]


def policies(
    name: PolicyName = None,
    template: Annotated[bool, typer.Option("--template", help="Print its source, to start one's own from.")] = False,
) -> None:
    """List the expert-selection policies, or describe one: its rule, where that is from, its options."""
    from cosim.screen.policies import print_list, print_policy, template_of

    if name is None:
        if template:
            raise RequestError("--template", "needs the name of a policy")
        print_list(console())
    elif template:
        print(template_of(name), end="")
    else:
        print_policy(name, console())


def scenarios(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A built-in scenario, or FILE.py or FILE.py:CLASS.")
    ] = None,
    parameter: Annotated[
        str | None, typer.Argument(metavar="[PARAMETER]", help="One of its parameters, to be shown whole.")
    ] = None,
    template: Annotated[bool, typer.Option("--template", help="Print its source, to start your own from.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Build it and send a probe to each device and back.")] = False,
    settings: Settings = None,
) -> None:
    """List the radio scenarios, or show the parameters of one."""
    from cosim import config as configuration
    from cosim.screen import scenarios as radio_scenarios

    if parameter is not None and (template or check):
        raise RequestError("PARAMETER", "--template and --check are about the whole scenario; leave it away")
    if template and (check or settings):
        other = "--check" if check else "--set"
        raise RequestError("--template", f"prints a source as it is; leave {other} away")
    if name is None:
        if template or check or settings:
            raise RequestError("NAME", "say which scenario; `cosim scenarios` lists them")
        radio_scenarios.print_list(console())
        return
    experiment = configuration.load(None, settings or [], scenario=name)
    if template:
        print(radio_scenarios.template(experiment.scenario), end="")
    elif check:
        if not radio_scenarios.check(experiment, console()):
            raise typer.Exit(1)
    else:
        radio_scenarios.print_parameters(experiment.scenario, parameter, console(), experiment.radio_parameters)


def devices() -> None:
    """Hold the devices' compute model against published measurements."""
    from model_side.hardware.check import main as check

    check()
