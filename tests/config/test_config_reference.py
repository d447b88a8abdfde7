"""Is config/exporter.yml what the models say, and is all of it true?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from exporter.config import Settings, load
from exporter.config_reference import exporter_yml
from exporter.config_wording import section_of
from exporter.symptoms.declarations import SYMPTOMS

COMMITTED = Path(__file__).parents[2] / "config" / "exporter.yml"
LEVELS = {symptom.name: [level.value for level in symptom.levels] for symptom in SYMPTOMS}
NOT_SET = re.compile(r"(?m)^( *)#(?=\S)((?:.|\n\1#  )*)$")


def sections(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for option in model.model_fields.values():
        if inner := section_of(option.annotation):
            yield from sections(inner)


def test_the_committed_file_is_current() -> None:
    assert COMMITTED.read_text() == exporter_yml(), "python -m exporter.config_reference > config/exporter.yml"


def test_the_file_as_it_stands_is_the_defaults() -> None:
    assert load(COMMITTED, signal_names=(), symptom_levels=LEVELS) == Settings()


@pytest.mark.parametrize("model", list(sections(Settings)), ids=lambda model: model.__name__)
def test_every_option_has_a_default_and_its_help(model: type[BaseModel]) -> None:
    for name, option in model.model_fields.items():
        assert not option.is_required(), name
        assert option.description, name
        assert option.description.endswith("."), name
        assert f"{name}:" in exporter_yml()
        # Without one, nobody could see how it is written.
        assert (
            option.examples
            or option.get_default(call_default_factory=True) is not None
            or section_of(option.annotation)
        ), name


@pytest.mark.parametrize("name", [match[2].split(":")[0] for match in NOT_SET.finditer(exporter_yml())])
def test_an_example_can_be_uncommented(name: str, tmp_path: Path) -> None:
    def uncomment(match: re.Match[str]) -> str:
        indent, block = match[1], match[2]
        if block.split(":")[0] != name:
            return match[0]
        block = re.sub(r"\n.*password_file.*", "", block)  # two passwords are one too many
        return indent + block.replace(f"\n{indent}#", f"\n{indent}")

    text = NOT_SET.sub(uncomment, exporter_yml())
    if name == "key_file":
        text = text.replace("#cert_file", "cert_file")
    for path in re.findall(r"(?m)^ +\w+_file: /(.*)$", text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    path = tmp_path / "exporter.yml"
    path.write_text(text.replace("_file: /", f"_file: {tmp_path}/"))
    settings = load(path, signal_names=(), symptom_levels=LEVELS)
    assert settings.model_dump() != Settings().model_dump()
