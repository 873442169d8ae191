from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect

from homeostat_controller.cli import serving
from homeostat_controller.client.exits import CommandError


def test_what_init_makes_stays_when_it_runs_again(tmp_path: Path) -> None:
    wanted = serving.settings(None, {"HOMEOSTAT_DATA_DIR": str(tmp_path / "data")})
    assert serving.init(wanted)
    kept = {path.name: path.read_bytes() for path in wanted.data_dir.iterdir() if path.suffix in (".token", ".key")}
    assert len(kept) >= 2
    assert not serving.init(wanted)
    assert {name: (wanted.data_dir / name).read_bytes() for name in kept} == kept


def test_migrating_alone_makes_the_schema(tmp_path: Path) -> None:
    wanted = serving.settings(None, {"HOMEOSTAT_DATA_DIR": str(tmp_path)})
    serving.migrate(wanted)
    engine = create_engine(wanted.database)
    assert "endpoint" in inspect(engine).get_table_names()
    engine.dispose()


def test_what_the_server_refuses_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        serving.settings(tmp_path / "none.toml", {})
    assert caught.value.what == "The settings cannot be used."
    assert "no such file" in caught.value.why
