import pytest

from pricing.names import guess_seller, region_of, seller_of, spellings


@pytest.mark.parametrize(
    ("provider", "seller"),
    [
        ("openai", "openai"),
        ("azure.ai.openai", "azure"),
        ("azure.ai.inference", "azure"),
        ("gcp.vertex_ai", "vertex"),
        ("gcp.gemini", "google"),
        ("gcp.gen_ai", "google"),
        ("x_ai", "x-ai"),
        ("aws.bedrock", "aws"),
        ("AWS.Bedrock", "aws"),
        ("Anthropic", "anthropic"),
        ("openai.responses", "openai"),
        ("google.vertex.chat", "vertex"),
        ("amazon-bedrock", "aws"),
        ("vllm-openai", None),
        ("langchain", None),
        ("ibm.watsonx.ai", "watsonx"),
        ("", None),
        (None, None),
    ],
)
def test_a_provider_as_sent_names_its_seller(provider, seller):
    assert seller_of(provider) == seller


@pytest.mark.parametrize(
    ("provider", "model", "seller"),
    [
        (None, "claude-opus-5", "anthropic"),
        (None, "deepseek-chat", "deepseek"),
        (None, "llama-3.3-70b", None),
        (None, "gpt-oss-120b", None),
        (None, "groq/llama-3.3-70b", "groq"),
        ("langchain", "gemini-2.5-pro", "google"),
        ("langchain", "deepseek-chat", None),
        ("openai", "claude-sonnet-5", "anthropic"),
        (None, "anthropic.claude-sonnet-4-5-20250929-v1:0", "aws"),
        (None, "us.anthropic.claude-opus-4-6", "aws"),
        (None, "apac.amazon.nova-pro-v1:0", "aws"),
        (None, "meta.llama3-3-70b-instruct-v1:0", "aws"),
        (None, "openai.gpt-oss-120b-1:0", "aws"),
        (None, "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.x.y", "aws"),
        ("openai", "anthropic.claude-sonnet-4-5-20250929-v1:0", "aws"),
        ("anthropic", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws"),
        ("ollama", "anthropic.claude-sonnet-4-5-20250929-v1:0", None),
        (None, "meta.llama-3.1-405b-instruct", None),
        (None, "qwen2.5-72b-instruct-v1", None),
        ("openai", "deepseek-chat", "deepseek"),
        ("azure", "claude-sonnet-5", None),
        ("ollama", "gpt-4o", None),
    ],
)
def test_a_seller_is_guessed_only_where_the_name_leaves_no_doubt(
    provider, model, seller
):
    assert guess_seller(provider, model) == seller


@pytest.mark.parametrize(
    ("seller", "sent", "listed"),
    [
        ("anthropic", "anthropic/claude-opus-4-6", "claude-opus-4-6"),
        ("anthropic", "claude-opus-5-5[1m]", "claude-opus-5-5"),
        ("google", "models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("vertex", "publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("vertex", "google/gemini-2.5-flash", "gemini-2.5-flash"),
        ("openrouter", "openrouter/openai/gpt-4o", "openai/gpt-4o"),
        ("openai", "ft:gpt-4o-mini:org::id", "ft:gpt-4o-mini-2024-07-18"),
        ("openai", "gpt-5.2-20251211", "gpt-5.2-2025-12-11"),
        ("vertex", "claude-haiku-4-5@20251001", "claude-haiku-4-5-20251001"),
        ("fireworks", "glm-5p3", "accounts/fireworks/models/glm-5p3"),
    ],
)
def test_a_name_is_tried_as_the_seller_lists_it(seller, sent, listed):
    names = list(spellings(seller, sent))

    assert names[0] == sent
    assert listed in names


def test_a_seller_that_lists_by_maker_keeps_the_maker():
    assert "gpt-4o" not in list(spellings("openrouter", "openai/gpt-4o"))


@pytest.mark.parametrize(
    ("model", "region"),
    [
        ("projects/p/locations/us-east5/publishers/google/models/x", "us-east5"),
        ("arn:aws:bedrock:eu-west-1:1:inference-profile/eu.amazon.nova", "eu-west-1"),
        ("us-gov.anthropic.claude-opus-5", "us-gov"),
        ("claude-opus-5", None),
    ],
)
def test_a_resource_name_tells_its_region(model, region):
    assert region_of(model) == region


@pytest.mark.parametrize(
    ("model", "seller"),
    [
        ("openai:gpt-4o", "openai"),
        ("bedrock:us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws"),
        ("litellm_proxy/gpt-4o", "openai"),
        ("llama3:8b", None),
    ],
)
def test_a_prefix_names_the_seller_whatever_parts_it(model, seller):
    assert guess_seller(None, model) == seller


@pytest.mark.parametrize(
    ("seller", "sent", "listed"),
    [
        ("openai", "openai:gpt-4o", "gpt-4o"),
        ("openai", "litellm_proxy/gpt-4o", "gpt-4o"),
        ("openrouter", "openai/gpt-4o:nitro", "openai/gpt-4o"),
        (
            "aws",
            "bedrock:us.anthropic.claude-sonnet-5-v1:0",
            "us.anthropic.claude-sonnet-5-v1:0",
        ),
    ],
)
def test_what_a_gateway_adds_to_a_name_is_cut_off(seller, sent, listed):
    assert listed in list(spellings(seller, sent))


def test_a_bare_name_on_bedrock_is_first_tried_as_the_global_profile():
    names = list(spellings("aws", "claude-sonnet-4-5-20250929"))

    assert names[:2] == [
        "global.anthropic.claude-sonnet-4-5-20250929",
        "claude-sonnet-4-5-20250929",
    ]
