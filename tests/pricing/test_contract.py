"""What pricing shares with the other libraries, which it does not import."""

import pyarrow as pa

from pricing import COST_SCHEMA, INPUT_FIELDS
from proto_handlers.schema import normalised_schema
from rollups.schema import COST_COLUMNS, call_schema


def test_cost_columns_are_those_of_calls_in_order_and_type():
    calls = call_schema()
    plain = [
        kind.value_type if pa.types.is_dictionary(kind) else kind
        for kind in COST_SCHEMA.types
    ]

    assert tuple(COST_SCHEMA.names) == COST_COLUMNS
    assert plain == [calls.field(name).type for name in COST_COLUMNS]


def test_every_input_is_a_column_of_spans_and_of_stored_calls():
    spans = set(normalised_schema().names)
    identity = {"tenant", "feature"}

    assert set(INPUT_FIELDS) - identity - spans <= {"cache_read_audio_tokens"}
    assert set(INPUT_FIELDS) - {*call_schema().names} <= {"cache_read_audio_tokens"}
