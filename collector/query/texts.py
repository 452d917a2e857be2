"""The `.sql` files of the service's packages as text."""

import functools
import importlib.resources


@functools.cache
def sql_file(package: str, name: str) -> str:
    """Return the text of ``sql/<name>.sql`` in *package*."""
    return (importlib.resources.files(package) / "sql" / f"{name}.sql").read_text()


def query_text(name: str) -> str:
    """Return the text of ``collector/query/sql/<name>.sql``."""
    return sql_file("collector.query", name)
