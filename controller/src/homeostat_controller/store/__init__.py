"""Everything that is kept: tables, migrations, and queries that take and give frozen dataclasses."""
