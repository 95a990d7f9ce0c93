# SPDX-License-Identifier: Apache-2.0
"""The pages that are generated from the types: commands, configuration, policies, scenarios, and the Python API."""

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
import typer

from cosim.cli import app
from cosim.config import Config
from cosim.networks.catalogue import catalogue
from cosim.screen.policies import meaning, type_in_words
from model_side.policies import COMPOSITIONS, POLICIES

ROOT = Path(__file__).resolve().parents[2]
API: dict[str, dict[str, str]] = {
    "Running and reading": {
        "cosim": "run resume replay what_if evaluate load compare report timeline summarise Ns3Place",
        "cosim.runs.loaded": "Runs",
        "cosim.results.summary": "VariantSummary DeviceSummary Slots",
        "cosim.results.service": "ServiceSummary",
        "cosim.errors": "Diverged JournalUnwritable",
    },
    "The network between model and radio": {
        "bridge.network": "Network NetworkInfo Transfer TransferOutcome Outcome Status LinkState Wait RequestError "
        "PartnerLost"
    },
    "A policy": {
        "model_side.policies": "Policy",
        "model_side.selection": "Layer Selection Forecast DeviceWork Phase Part",
        "model_side.routing": "Gate",
        "model_side.prediction": "Prediction",
        "model_side.exchange": "LayerExchange",
    },
    "A scenario": {"ns3_scenarios.scenario": "Scenario Topology Device"},
}
EXCEPTIONS = ("Diverged", "JournalUnwritable", "RequestError", "PartnerLost")


def pages() -> dict[str, str]:
    """The generated pages by name, as MyST's Markdown."""
    made: dict[str, Callable[[], str]] = {
        "commands": commands,
        "configuration": configuration,
        "policies": policies,
        "scenarios": scenarios,
        "python": python,
    }
    return {name: page() for name, page in made.items()}


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, without columns that are empty; "" without rows."""
    rows = list(rows)
    used = [column for column in range(len(headings)) if any(row[column] for row in rows)]
    headings, rows = [headings[column] for column in used], [[row[column] for column in used] for row in rows]
    lines = ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(headings) + " |", "|---" * len(headings) + "|", *lines, ""]) if lines else ""


def plain(text: str) -> str:
    """Words as they stand: code in backquotes stays code, a page's path leads there, what else is markup is escaped."""
    parts = re.split(r"(`[^`]*`|docs/[\w/-]+\.md)", text)
    return "".join(
        part if part[:1] == "`" else f"[{part}](../{part})" if part[:5] == "docs/" else escaped(part) for part in parts
    )


def escaped(text: str) -> str:
    return re.sub(r"([*_<>\[\]\\])", r"\\\1", text)


def code(text: str) -> str:
    return f"`{text}`" if text else ""


# ---------------------------------------------------------------------------------------------------- commands


def commands() -> str:
    """Every command with its arguments and options, from the Typer application."""
    root: Any = typer.main.get_command(app)
    text = [
        "# Commands",
        f"{plain(root.help)} As `cosim COMMAND --help` has it; exit codes are in the [quick start](../README.md#use).",
        table(
            ("command", "what it does"),
            ([f"[`cosim {name}`](#cosim-{name})", plain(first_line(each))] for name, each in root.commands.items()),
        ),
    ]
    for name, command in root.commands.items():
        text += of_command(f"cosim {name}", command, 2)
    return "\n\n".join(text) + "\n"


def first_line(command: Any) -> str:
    return str(command.help or "").partition("\n\n")[0].replace("\n", " ")


def of_command(name: str, command: Any, level: int) -> list[str]:
    """The section of a command, and of those below it."""
    arguments = [each for each in command.params if "-" not in each.opts[0]]
    options = [each for each in command.params if "-" in each.opts[0] and not each.hidden]
    below = getattr(command, "commands", {})
    usage = [name, *(["COMMAND"] if below else []), *(["[OPTIONS]"] if options else []), *map(placeholder, arguments)]
    said = "\n\n".join(plain(part.replace("\n", " ")) for part in inspect.cleandoc(command.help or "").split("\n\n"))
    text = [f"{'#' * level} {name}", f"```text\n{' '.join(usage)}\n```", said]
    rows = [(code(placeholder(each)), plain(each.help or ""), default_of(each)) for each in arguments]
    rows += [(code(invocation(each)), plain(each.help or ""), default_of(each)) for each in options]
    text.append(table(("argument or option", "meaning", "default"), rows))
    for inner, each in below.items():
        text += of_command(f"{name} {inner}", each, level + 1)
    return text


def placeholder(parameter: Any) -> str:
    """What stands for an argument in a usage."""
    word = parameter.metavar or parameter.name.upper()
    word = word if parameter.required or word[0] == "[" else f"[{word}]"
    return f"{word} …" if parameter.nargs == -1 else word


def invocation(option: Any) -> str:
    names = ", ".join(option.opts) + "".join(f" / {other}" for other in option.secondary_opts)
    if option.is_flag or option.count:
        return names
    return f"{names} {option.metavar or word_of(option.type_descriptor.annotation)}"


def word_of(annotation: Any) -> str:
    """What stands for a value of this type."""
    (of,) = get_args(annotation)[:1] or (annotation,) if get_origin(annotation) is list else (annotation,)
    return {"int": "N", "float": "NUMBER", "Path": "PATH"}.get(getattr(of, "__name__", ""), "TEXT")


def default_of(parameter: Any) -> str:
    if parameter.required:
        return "required"
    value = parameter.default
    return "" if value in (None, False, ()) or callable(value) else code(str(value))


# ----------------------------------------------------------------------------------------------- configuration


def configuration() -> str:
    """Every key with its type and default, from the types; its meaning from docs/runs/configuration.md."""
    page = (ROOT / "docs/runs/configuration.md").read_text(encoding="utf-8")
    meanings = dict(re.findall(r"^\| `([\w.]+)` \| .*? \| (.*) \|$", page, re.MULTILINE))
    text = [
        "# Every key of the configuration",
        "What a file may say, from the types that it is read into (`cosim/config.py`). How it is written, and what "
        "holds for seeds, policies and scenarios, is in [Configuration](../docs/runs/configuration.md).",
    ]
    whole = {field.name: field for field in msgspec.inspect.type_info(Config).fields}  # type: ignore[attr-defined]
    inner = {name: field for name, field in whole.items() if isinstance(field.type, msgspec.inspect.StructType)}
    open_ = {name: f"[{name}]" for name in ("radio", "policy")}
    top = [field for name, field in whole.items() if name not in {*inner, *open_}]
    text += ["## At the top", documentation(Config), keys(top, "", meanings)]
    for name, field in inner.items():
        kind: Any = field.type
        text += [f"## `[{name}]`", documentation(kind.cls), keys(kind.fields, f"{name}.", meanings)]
    text += ["## `[radio]`", "Belongs to the scenario, which checks it: see [scenarios](scenarios.md)."]
    text += ["## `[policy.NAME]`", "Belongs to the policy, which checks it: see [policies](policies.md)."]
    return "\n\n".join(text) + "\n"


def keys(fields: Iterable[Any], prefix: str, meanings: dict[str, str]) -> str:
    rows = [
        (
            code(prefix + field.name),
            plain(type_in_words(field.type)),
            code(default_value(field)),
            of_docs_runs(meanings.get(prefix + field.name, "")),
        )
        for field in fields
    ]
    return table(("key", "type", "default", "meaning"), rows)


def of_docs_runs(text: str) -> str:
    """Links of a page in docs/runs as they are from a generated page."""
    text = re.sub(r"\]\((?=#)", "](configuration.md", text)
    text = re.sub(r"\]\((?=[\w-]+\.md)", "](../docs/runs/", text)
    return re.sub(r"\]\(\.\./(?!docs)", "](../docs/", text)


def default_value(field: Any) -> str:
    """As TOML has it; "" for what is unset."""
    value = field.default
    if value is msgspec.NODEFAULT:
        value = field.default_factory()
    return (
        "" if value is None else msgspec.json.format(msgspec.json.encode(value), indent=-1).decode().replace(",", ", ")
    )


def documentation(kind: type) -> str:
    """A class's docstring, whose single line breaks mean nothing."""
    return "\n\n".join(plain(part.replace("\n", " ")) for part in inspect.cleandoc(kind.__doc__ or "").split("\n\n"))


# ---------------------------------------------------------------------------------------- policies, scenarios


def policies() -> str:
    """Each policy's rule, source and options, from its class."""
    text = [
        "# Policies",
        "What `cosim policies NAME` says of each. What they bring: [Expert selection](../docs/model/selection.md); "
        "[one of your own](../docs/scripts/policy.md) is a file.",
    ]
    for name, kind in POLICIES.items():
        said = inspect.getdoc(kind) or ""
        text += [f"## {name}", plain(said.partition("\n\n")[0].replace("\n", " "))]
        if kind.formula:
            text.append(f"```text\n{kind.formula}\n```")
        if kind.source:
            text.append(f"*Source:* {plain(kind.source)}")
        rows = [
            (
                code(f"policy.{name}.{field.name}"),
                plain(type_in_words(field.type)),
                code("" if field.default in (msgspec.NODEFAULT, None) else str(field.default)),
                plain(meaning(field.name, said)),
            )
            for field in msgspec.inspect.type_info(kind).fields  # type: ignore[attr-defined]
        ]
        text.append(table(("option", "type", "default", "meaning"), rows))
    for name, steps in COMPOSITIONS.items():
        text += [f"## {name}", f"`{steps}`: one step after another."]
    return "\n\n".join(text) + "\n"


def scenarios() -> str:
    """Each scenario's parameters, as the ns-3 side describes them; those that all have alike once."""
    summaries = catalogue()
    told = {name: catalogue(name)["parameters"] for name in summaries}
    first, *others = told.values()
    common = [each for each in first if all(each in other for other in others)]
    text = ["# Scenarios", "The parameters of the built-in radios, as `cosim scenarios NAME` has them."]
    for name, summary in summaries.items():
        text += [f"## {name}", f"{plain(summary)} [What it does](../docs/scenarios/{name}.md)."]
        text.append("Its own parameters, beside [those of every scenario](#in-every-scenario):")
        text += of_parameters([each for each in told[name] if each not in common], "radio.")
    text += ["## In every scenario", *of_parameters(common, "radio.")]
    return "\n\n".join(text) + "\n"


def of_parameters(parameters: list[dict[str, Any]], prefix: str) -> list[str]:
    """A table of parameters, and those of the tables that they can hold."""
    rows = [
        (
            code(prefix + each["name"]),
            plain(each["type"]),
            each["unit"],
            code(each["default"]) if each["default"] not in ("required", "unset") else each["default"],
            plain(each["meaning"]),
        )
        for each in parameters
    ]
    text = [table(("key", "type", "unit", "default", "meaning"), rows)]
    for each in parameters:
        name = prefix + each["name"] + ("[]" if each["type"].startswith("list") else "")
        for held in each["tables"]:
            which = f" with `{held['choice']}`" if held["choice"] else ""
            text += [f"`{name}`{which}: {plain(held['summary'])}", *of_parameters(held["parameters"], f"{name}.")]
    return text


# ---------------------------------------------------------------------------------------------------- Python


def python() -> str:
    """The public names, for autodoc to take their docstrings."""
    text = ["# Python", "What a script of your own is likely to meet, from the docstrings."]
    for heading, modules in API.items():
        text.append(f"## {heading}")
        for module, names in modules.items():
            lines = [f".. currentmodule:: {module}", ""]
            for name in names.split():
                kind = "exception" if name in EXCEPTIONS else "class" if name[0].isupper() else "function"
                lines += [f".. auto{kind}:: {module}.{name}", *([] if kind == "function" else ["   :members:"]), ""]
            text.append("```{eval-rst}\n" + "\n".join(lines) + "```")
    return "\n\n".join(text) + "\n"
