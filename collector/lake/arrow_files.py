"""Tables as Arrow files: working state that is made again when it is lost."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

import pyarrow as pa

_COMPRESSED: Final = pa.ipc.IpcWriteOptions(compression="lz4")


def write_arrow(path: Path, table: pa.Table, *, always: Collection[str] = ()) -> None:
    """
    Write *table*, compressed, without the columns that are all null.

    Args:
        path: The file; not synced.

        table: The rows.

        always: Columns that are written also when they are all null.
    """
    filled = [
        name
        for name in table.column_names
        if name in always or table.column(name).null_count < table.num_rows
    ]
    kept = table.select(filled)
    with pa.ipc.new_file(str(path), kept.schema, options=_COMPRESSED) as writer:
        writer.write_table(kept)


def read_arrow(path: Path, columns: Iterable[str] | None = None) -> pa.Table:
    """
    Read what `write_arrow` wrote, or those of *columns* that are there.

    Raises:
        OSError: There is no such file.
        pa.ArrowException: It is damaged.
    """
    with pa.memory_map(str(path)) as source:
        if columns is None:
            return pa.ipc.open_file(source).read_all()
        names = pa.ipc.open_file(source).schema.names
        wanted = [names.index(column) for column in columns if column in names]
        options = pa.ipc.IpcReadOptions(included_fields=wanted)
        return pa.ipc.open_file(source, options=options).read_all()
