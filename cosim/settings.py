# SPDX-License-Identifier: Apache-2.0
"""The plain values of a configuration: out of a TOML file, with settings laid over them."""

import re
import tomllib
from pathlib import Path
from typing import Any

from bridge.network import RequestError


def read(path: Path) -> dict[str, Any]:
    """What a TOML file says. Raises `RequestError` naming CONFIG for one that cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RequestError("CONFIG", f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError("CONFIG", f"{path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise RequestError("CONFIG", f"{path} is not TOML: {error}") from None


def merge_names(values: dict[str, Any]) -> None:
    """`[scenario]` is another name of `[radio]`: what a file says in both is one section."""
    other = values.pop("scenario", {})
    radio = values.setdefault("radio", {}) if other else values.get("radio", {})
    for name, section in (("scenario", other), ("radio", radio)):
        if not isinstance(section, dict):
            raise RequestError(name, "is a section; the scenario's name goes to --scenario or radio.scenario")
    for key, value in other.items():
        if key in radio:
            raise RequestError(f"radio.{key}", f"is given twice, since scenario.{key} is the same; leave one away")
        radio[key] = value


def parsed(setting: str) -> tuple[str, Any]:
    """Key and value of `KEY=VALUE`; `scenario` is another name of `radio`."""
    name, separator, text = setting.partition("=")
    if not separator or not all(name.strip().split(".")):
        raise RequestError("--set", f"{setting!r} is not of the form section.key=value")
    name = re.sub(r"^scenario(?=\.|$)", "radio", name.strip())
    try:
        return name, tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return name, text


def lay_over(values: dict[str, Any], name: str, value: Any) -> None:
    """Set one value by its name, `section.key`."""
    *sections, last = name.split(".")
    for key in sections:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise RequestError("--set", f"{name}: {key} is a value, not a section")
    values[last] = value
