"""Which attribute told what."""

from attribute_texts import raw_table

from proto_handlers.sources import field_sources


def keys_of(attributes, **wire):
    table = raw_table([{"attributes": attributes} | wire])
    return {source.field: source.key for source in field_sources(table)}


def test_of_two_keys_for_one_field_the_better_is_named():
    both = {
        "gen_ai.usage.prompt_tokens": "5",
        "gen_ai.usage.input_tokens": "5",
        "gen_ai.system": "openai",
    }

    assert keys_of(both) == {
        "input_tokens": "gen_ai.usage.input_tokens",
        "provider": "gen_ai.system",
    }


def test_a_key_that_only_its_own_dialect_means_is_named_for_that_one_alone():
    plain = {"input_tokens": "5"}

    assert keys_of(plain, scope_name="com.anthropic.claude_code.tracing") == {
        "input_tokens": "input_tokens"
    }
    assert keys_of(plain, scope_name="app") == {}


def test_what_is_not_believed_is_not_named():
    lie = {"gen_ai.system": "strands-agents"}

    assert keys_of(lie, scope_name="strands.telemetry.tracer") == {}


def test_what_was_found_in_a_document_is_not_named_where_attributes_tell_it():
    told = {"gen_ai.usage.input_tokens": "7", "spanledger.found.input_tokens": "7"}
    lost = {
        "gen_ai.usage.cache_creation.input_tokens": "0",
        "spanledger.found.cache_write_tokens": "431",
    }

    assert keys_of(told) == {"input_tokens": "gen_ai.usage.input_tokens"}
    assert keys_of(lost) == {
        "cache_write_tokens": "spanledger.found.cache_write_tokens"
    }


def test_what_was_found_in_a_document_is_named_as_such():
    found = {"spanledger.found.input_tokens": "7"}

    assert keys_of(found) == {"input_tokens": "spanledger.found.input_tokens"}
