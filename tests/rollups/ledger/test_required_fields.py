import pytest

from proto_handlers.schema import normalised_schema
from rollups.ledger import required_fields


@pytest.mark.parametrize("dimensions", [(), ("team", "feature")], ids=["none", "some"])
def test_normalising_gives_every_column_the_ledger_reads(dimensions):
    given = normalised_schema(dimensions)

    wanted = required_fields(dimensions)

    assert {field.name: field.type for field in wanted} == {
        name: given.field(name).type for name in wanted.names
    }
