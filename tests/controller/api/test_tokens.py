from pathlib import Path

import pytest
from fixtures_web import core_on

from fakes.moved_clock import MovedClock
from homeostat_controller.api.tokens import ADMIN_TOKEN_FILE, ensure_admin_token, identity_of_token
from homeostat_controller.key_files import KeyFileError
from homeostat_controller.store import audit
from homeostat_controller.store.paging import PageRequest


def test_the_first_token_is_made_once_and_only_its_owner_reads_it(
    migrated_sqlite: Path, tmp_path: Path, clock: MovedClock
) -> None:
    with core_on(tmp_path / "data", migrated_sqlite, clock) as core:
        assert ensure_admin_token(core)
        assert not ensure_admin_token(core)
        path = core.settings.data_dir / ADMIN_TOKEN_FILE
        assert path.stat().st_mode & 0o777 == 0o600
        token = path.read_text()
        who = identity_of_token(core, token)
        assert who is not None
        assert (who.name, who.scope, who.via) == ("admin", "admin", "token")
        assert identity_of_token(core, token + "x") is None
        with core.database.read() as connection:
            acts = audit.list_page(connection, audit.AuditFilter(verb="create"), PageRequest()).items
        assert [one.object_kind for one in acts] == ["api-token"]
        assert token not in str(acts)


def test_a_file_that_outlived_its_database_is_taken_up_again(
    migrated_sqlite: Path, tmp_path: Path, clock: MovedClock
) -> None:
    with core_on(tmp_path / "data", migrated_sqlite, clock) as core:
        ensure_admin_token(core)
    token = (tmp_path / "data" / ADMIN_TOKEN_FILE).read_text()
    with core_on(tmp_path / "data", migrated_sqlite, clock) as core:
        assert ensure_admin_token(core)
        assert identity_of_token(core, token) is not None


def test_a_file_that_others_can_read_is_refused(migrated_sqlite: Path, tmp_path: Path, clock: MovedClock) -> None:
    with core_on(tmp_path / "data", migrated_sqlite, clock) as core:
        ensure_admin_token(core)
        (core.settings.data_dir / ADMIN_TOKEN_FILE).chmod(0o644)
        with pytest.raises(KeyFileError, match="others may read it"):
            ensure_admin_token(core)
