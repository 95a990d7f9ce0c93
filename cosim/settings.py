# SPDX-License-Identifier: Apache-2.0
"""The plain values of a configuration: out of a TOML file, with settings laid over them."""

import re
import tomllib
from collections.abc import Sequence
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
        if text.strip()[:1] in ("[", "{", '"', "'"):
            raise RequestError(name, f"{text} is no TOML: {_quoted(text)}") from None
        return name, text


def _quoted(text: str) -> str:
    """What to do about a list that a shell, or its user, has taken the quotes from."""
    items = [item.strip() for item in text.strip().strip("[]").split(",")]
    if text.strip()[0] == "[" and all(re.fullmatch(r"[\w./+-]+", item) for item in items):
        whole = ", ".join(item if re.fullmatch(r"[\d.]+|true|false", item) else f'"{item}"' for item in items)
        return f"text in a list has quotes, and the shell wants its own around all of it: '[{whole}]'"
    return "brackets and quotes come in pairs, text in a list has quotes, and the shell wants its own around all of it"


def lay_over(values: dict[str, Any], name: str, value: Any) -> None:
    """Set one value by its name, `section.key`."""
    *sections, last = name.split(".")
    for key in sections:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise RequestError("--set", f"{name}: {key} is a value, not a section")
    values[last] = value


def flattened(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A configuration's values by their whole names."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value:
            found |= flattened(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


def hold_defaults(given: Any, section: str, names: Sequence[str], reason: str) -> None:
    """Refuse fields of a section that are given; what stands at its default says nothing."""
    for name in names:
        if getattr(given, name) != getattr(type(given)(), name):
            raise RequestError(f"{section}.{name}", reason)
