# SPDX-License-Identifier: Apache-2.0
"""The page of published sizes has those that there are."""

import re

from cosim.models.listing import Profile, profiles
from tests import ROOT


def row(profile: Profile) -> list[str]:
    sizes = [f"{profile.weights / 1e9:.2f} G", str(profile.layers), str(profile.hidden)]
    if not profile.experts:
        taken = [f"{size_bytes / 1e9:.1f} GB" for size_bytes in (profile.bytes_16, profile.bytes_4)]
        return [f"`{profile.name}`", profile.source, *sizes, *taken]
    travelling = [f"{profile.token_bytes:,} B", f"{profile.expert_bytes_4 / 1e6:.1f} MB"]
    return [f"`{profile.name}`", profile.source, f"top {profile.top_k} of {profile.experts}", *sizes, *travelling]


def test_the_page_s_tables_are_those_of_the_program():
    page = (ROOT / "docs/model/published.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in re.findall(r"^\| `.*$", page, re.MULTILINE)]
    assert rows == [row(profile) for profile in profiles().values()]
