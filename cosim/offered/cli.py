# SPDX-License-Identifier: Apache-2.0
"""`cosim policies`, `cosim scenarios`, `cosim devices`."""

from typing import Annotated

import typer

from bridge.network import RequestError
from cosim.screen.output import AsJson, console

PolicyName = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="One of them, or FILE.py or FILE.py:CLASS of your own.")
]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Lay one value over it.")]


def policies(
    name: PolicyName = None,
    template: Annotated[bool, typer.Option("--template", help="Print its source, to start one's own from.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the expert-selection policies, or describe one: its rule, where that is from, its options."""
    from cosim.screen import policies as selection
    from cosim.screen.as_json import print_json

    if template and (name is None or as_json):
        reason = "needs the name of a policy" if name is None else "prints a source as it is; leave --json away"
        raise RequestError("--template", reason)
    if as_json:
        print_json(selection.listed() if name is None else selection.described(name))
    elif name is None:
        selection.print_list(console())
    elif template:
        print(selection.template_of(name), end="")
    else:
        selection.print_policy(name, console())


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
    as_json: AsJson = False,
) -> None:
    """List the radio scenarios, or show the parameters of one."""
    from cosim import config as configuration
    from cosim.networks.catalogue import catalogue
    from cosim.screen import scenarios as radio_scenarios
    from cosim.screen.as_json import print_json

    if as_json and (template or check):
        raise RequestError("--json", "is for the list and for parameters; leave --template and --check away")
    if parameter is not None and (template or check):
        raise RequestError("PARAMETER", "--template and --check are about the whole scenario; leave it away")
    if template and (check or settings):
        other = "--check" if check else "--set"
        raise RequestError("--template", f"prints a source as it is; leave {other} away")
    if name is None:
        if template or check or settings:
            raise RequestError("NAME", "say which scenario; `cosim scenarios` lists them")
        if as_json:
            print_json([{"name": known, "summary": summary} for known, summary in catalogue().items()])
        else:
            radio_scenarios.print_list(console())
        return
    experiment = configuration.load(None, settings or [], scenario=name)
    if template:
        print(radio_scenarios.template(experiment.scenario), end="")
    elif check:
        if not radio_scenarios.check(experiment, console()):
            raise typer.Exit(1)
    elif as_json:
        print_json(radio_scenarios.parameters(experiment.scenario, parameter, experiment.radio_parameters))
    else:
        radio_scenarios.print_parameters(experiment.scenario, parameter, console(), experiment.radio_parameters)


def devices(as_json: AsJson = False) -> None:
    """Hold the devices' compute model against published measurements."""
    from model_side.hardware import check

    if not as_json:
        from cosim.screen.fitting import print_table

        terminal = console(check.WIDTH)
        for table in check.tables():
            print_table(table, terminal)
        for remark in check.remarks():
            terminal.print(f"- {remark}", highlight=False, soft_wrap=not terminal.is_terminal)
        return
    from cosim.screen.as_json import print_json
    from model_side.hardware.profiles import PROFILES
    from model_side.hardware.published import MEASUREMENTS

    print_json(
        {
            "profiles": list(PROFILES.values()),
            "measurements": [
                {
                    "hardware": row.hardware,
                    "model": row.model.name,
                    "weights": row.weights.name,
                    "phase": "prefill" if row.prefill else "decode",
                    "published_tokens_per_s": row.tokens_per_s,
                    "predicted_tokens_per_s": row.predicted_tokens_per_s(PROFILES[row.hardware]),
                    "calibrates": row.calibrates,
                    "source": row.source,
                }
                for row in MEASUREMENTS
            ],
            "remarks": check.remarks(),
        }
    )
