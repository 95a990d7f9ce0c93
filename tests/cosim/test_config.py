# SPDX-License-Identifier: Apache-2.0
"""Configuration: what is read, what is refused, and by what name."""

import itertools
import re

import pytest

from bridge.network import RequestError
from cosim import config
from cosim.config import Config
from cosim.settings import parsed
from tests import ROOT


def test_settings_are_laid_over_the_file_and_policies_over_both(tmp_path):
    file = tmp_path / "a.toml"
    file.write_text(
        'seed = 7\npolicies = ["weight-to-latency"]\n[radio]\ndevices = 4\nfading = "none"\n[workload]\nrequests = 3\n'
    )
    settings = ["radio.devices=16", "workload.new_tokens = 5", "model.path=owner/name", "devices.hardware=['a', 'b']"]
    read = config.load(file, settings, ["top-k"])
    assert (read.seed, read.policies) == (7, ["top-k"])
    assert read.radio == {"devices": 16, "fading": "none"}
    assert read.radio_parameters == {"devices": 16, "fading": "none"}
    assert (read.workload.requests, read.workload.new_tokens) == (3, 5)
    assert read.networks == ["live"]
    assert config.load(file, ["networks=['live']"], networks=["analytic", "live"]).networks == ["analytic", "live"]
    assert (read.model.path, read.devices.hardware) == ("owner/name", ["a", "b"])


def test_scenario_is_another_name_of_the_section_radio(tmp_path):
    """However the two names are mixed, they are one section; `--set` goes over the file, and a later one over it."""
    file = tmp_path / "a.toml"
    for first, second in itertools.product(("radio", "scenario"), repeat=2):
        file.write_text(f"[{first}]\nrows = 3\n")
        assert config.load(file, [f"{second}.seats=2"]).radio == {"rows": 3, "seats": 2}
        assert config.load(file, [f"{second}.rows=2"]).radio == {"rows": 2}
        assert config.load(file, [], scenario="wired").radio == {"rows": 3, "scenario": "wired"}
        assert config.load(file, [f"{second}.scenario=lte"], scenario="wired").radio["scenario"] == "wired"
        assert config.load(None, [f"{first}.rows=1", f"{second}.rows=2", f"{first}.a=3"]).radio == {"rows": 2, "a": 3}
        recorded = {"policies": ["top-k"], "policy": {}}
        with pytest.raises(RequestError, match="which a what-if cannot change"):
            config.changed(recorded, [parsed(f"{first}.rows=2")], None)
    file.write_text("[radio]\nrows = 3\n[scenario]\nseats = 4\n")
    assert config.load(file, []).radio == {"rows": 3, "seats": 4}


def test_the_two_names_of_the_section_do_not_contradict_each_other(tmp_path):
    file = tmp_path / "a.toml"
    for text, settings, field in (
        ("[radio]\nrows = 3\n[scenario]\nrows = 4\n", [], "radio.rows"),
        ('scenario = "wired"', [], "scenario"),
        ('radio = "wired"', [], "radio"),
        ("", ["scenario=wired"], "radio"),
        ("", ["radio=wired"], "radio"),
    ):
        file.write_text(text)
        with pytest.raises(RequestError) as caught:
            config.load(file, settings)
        assert caught.value.field == field


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("sead=1", "did you mean seed?"),
        ("modle.path=x", "did you mean model?"),
        ("workload.request=3", "did you mean requests?"),
        ("workload.Requests=3", "did you mean requests?"),
        ("model.dtype=flaot32", "there are bfloat16, float16, float32; did you mean float32?"),
        ("exchange.wait=al", "there are all, any, deadline; did you mean all?"),
        ("exchange.element=int", "there are own, fp16, bf16, fp8, int8, int4; did you mean int8?"),
        ("networks=['analytical']", "there are live, analytic; did you mean analytic?"),
        ("model.device=gpu", "'gpu' is none of cpu, auto, cuda and cuda:N"),
        ("workload.top_p=0.5", "is for tokens that are drawn; give workload.temperature, too"),
        ("zebra=1", "is not known here, see docs/runs/configuration.md$"),
    ],
)
def test_what_was_probably_meant_is_said(setting, words):
    with pytest.raises(RequestError, match=re.sub(r"\?", r"\\?", words)):
        config.load(None, [setting])


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("devices.hardware=[a, b-1]", """all of it: '["a", "b-1"]'"""),
        ("devices.compute_w=[profile,3.5]", """all of it: '["profile", 3.5]'"""),
        ("devices.hardware=[a", "text in a list has quotes"),
        ('model.path="shipped', "brackets and quotes come in pairs"),
        ("devices=4", "is a section, with the keys hardware, "),
        ("devices=4", "how many there are is radio.devices"),
        ("policy=wdmoe", "which policies run is policies"),
        ("quality=False", "expected true or false, in small letters and without quotes"),
        ("seed=1.5", "expected a whole number, got a number with a fraction"),
    ],
)
def test_what_is_no_toml_is_said_in_a_users_words(setting, words):
    with pytest.raises(RequestError) as caught:
        config.load(None, [setting])
    assert words in caught.value.reason


def test_a_script_goes_by_its_absolute_path_and_a_name_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given, meant in (
        ("mine.py", f"{tmp_path}/mine.py"),
        ("../a b.py:Stadium", f"{tmp_path.parent}/a b.py:Stadium"),
        ("/x/mine.py:A", "/x/mine.py:A"),
        ("wired", "wired"),
    ):
        assert config.load(None, [f"radio.scenario={given}"]).scenario == meant
        assert config.load(None, ["radio.scenario=lte"], scenario=given).scenario == meant
    assert config.load(None, []).scenario == "nr"


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ("sead=1", "sead"),
        ("model.pth=x", "model.pth"),
        ("model=3", "model"),
        ("seed='one'", "seed"),
        ("seed=0", "seed"),
        ("seed=1.5", "seed"),
        ("seeds.radio=0", "seeds.radio"),
        ("seeds.luck=1", "seeds.luck"),
        ("exchange.deadline_s=-1", "exchange.deadline_s"),
        ("exchange.wait=never", "exchange.wait"),
        ("workload.requests=0", "workload.requests"),
        ("devices.weight_bits=5", "devices.weight_bits"),
        ("placement.experts=[0, -1]", "placement.experts[1]"),
        ("policies=[]", "policies"),
        ("policies=['top-k', 'top-k']", "policies"),
        ("networks=[]", "networks"),
        ("networks=['live', 'live']", "networks"),
        ("networks=['live', 'shannon']", "networks"),
        ("seed", "--set"),
        (".seed=1", "--set"),
        ("seed.deep=1", "--set"),
    ],
)
def test_a_wrong_setting_is_named(setting, field):
    settings = ["seed=3", setting] if setting == "seed.deep=1" else [setting]
    with pytest.raises(RequestError) as caught:
        config.load(None, settings)
    assert caught.value.field == field


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(RequestError, match=r"nowhere\.toml does not exist"):
        config.load(tmp_path / "nowhere.toml", [])
    (tmp_path / "broken.toml").write_text("seed = = 1")
    with pytest.raises(RequestError, match=r"broken\.toml is not TOML"):
        config.load(tmp_path / "broken.toml", [])
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9")
    with pytest.raises(RequestError, match=r"latin\.toml cannot be read"):
        config.load(tmp_path / "latin.toml", [])


def test_the_documentation_lists_every_key_with_its_default():
    text = (ROOT / "docs/runs/configuration.md").read_text()
    for section, owner in {"": Config, **{name: type(getattr(Config(), name)) for name in _sections()}}.items():
        for key in owner.__struct_fields__:
            if section == "" and key in (*_sections(), "radio", "policy"):
                continue
            name = f"{section}.{key}" if section else key
            row = re.search(rf"^\| `{re.escape(name)}` \| `(.*?)` \|", text, re.MULTILINE)
            assert row, f"{name} is not documented"
            default = getattr(getattr(Config(), section) if section else Config(), key)
            if section == "seeds":
                assert (row[1], default) == ("seed", None)
                continue
            assert config.load(None, [f"{name}={row[1]}"]) == Config(), f"{name}: {row[1]} is not the default {default}"


def _sections() -> list[str]:
    return ["seeds", "model", "placement", "devices", "base_station", "exchange", "workload", "arrivals", "service"]


def test_the_documentation_lists_what_holds_for_every_scenario():
    from ns3_scenarios.scenario import Scenario

    text = (ROOT / "docs/runs/configuration.md").read_text()
    assert tuple(re.findall(r"^\| `radio\.(\w+)` \|", text, re.MULTILINE)) == Scenario.__struct_fields__


def test_prompts_that_have_their_own_lengths_are_given_none():
    with pytest.raises(RequestError, match=r"each prompt of p\.jsonl has its own length; leave it out") as caught:
        config.load(None, ["workload.text=p.jsonl", "workload.prompt_tokens=32"])
    assert caught.value.field == "workload.prompt_tokens"
