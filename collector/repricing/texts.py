"""The `.sql` files of this package, and the sums that they are asked of."""

import duckdb
import pyarrow as pa

from collector.query.texts import sql_file


def repricing_text(name: str) -> str:
    """Return the text of ``collector/repricing/sql/<name>.sql``."""
    return sql_file("collector.repricing", name)


def query_sums(name: str, compared: pa.Table) -> pa.Table:
    """Run a file over the table ``compared``."""
    with duckdb.connect() as connection:
        connection.register("compared", compared)
        return connection.sql(repricing_text(name)).to_arrow_table()
