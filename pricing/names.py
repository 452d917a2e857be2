"""
Names of providers and models as apps write them, and as price lists do.

Price lists are never asked with a provider name as sent: their own rules for names
contain each other (``azure.ai.openai`` contains ``openai``). The table below says who
sells under which name.
"""

import re
from collections.abc import Iterator
from typing import Final

MAX_NAME_LENGTH: Final = 512
"""Longer model names are not looked up."""

_SELLERS: Final = {
    "anthropic": "anthropic",
    "aws": "aws bedrock aws.bedrock aws_bedrock amazon_bedrock amazon-bedrock "
    "bedrock_converse bedrock-runtime aws-bedrock amazon.bedrock",
    "azure": "azure azure_openai azure-openai azureopenai azure.ai.openai "
    "az.ai.openai azure.ai.inference az.ai.inference azure_ai azure-ai azure.openai "
    "azure_text azure.ai.foundry azure-cognitive-services",
    "cohere": "cohere cohere_chat",
    "deepseek": "deepseek",
    "fireworks": "fireworks fireworks_ai fireworks-ai fireworksai",
    "google": "google gcp.gemini gcp.gen_ai gemini google_genai google-genai "
    "google_ai google-ai google-gla google.generative-ai google_generative_ai",
    "groq": "groq",
    "minimax": "minimax",
    "mistral": "mistral mistral_ai mistralai mistral-ai codestral",
    "moonshotai": "moonshotai moonshot moonshot_ai moonshot-ai",
    "openai": "openai openai_chat openai-chat open_ai text-completion-openai",
    "openrouter": "openrouter open_router",
    "perplexity": "perplexity perplexity_ai",
    "together": "together together_ai together-ai togetherai",
    "vertex": "vertex vertex_ai vertexai vertex-ai gcp.vertex_ai google_vertexai "
    "google-vertex google_vertex google-vertexai google.vertex google_anthropic_vertex "
    "vertex_ai_beta google-vertex-anthropic",
    "voyageai": "voyageai voyage voyage_ai",
    "x-ai": "x-ai x_ai xai x.ai grok",
    "cerebras": "cerebras",
    "databricks": "databricks",
    "deepinfra": "deepinfra",
    "dashscope": "dashscope alibaba alibaba_cloud",
    "nebius": "nebius",
    "novita": "novita novita_ai",
    "sambanova": "sambanova",
    "watsonx": "watsonx ibm.watsonx.ai watsonx_ai",
    "zai": "zai z_ai z.ai z-ai zai-org",
    "zhipuai": "zhipuai zhipu zhipu_ai",
}

_SELLER_OF: Final = {
    name: seller for seller, names in _SELLERS.items() for name in names.split(" ")
}

_OWN_HARDWARE: Final = (
    "self-hosted self_hosted selfhosted local ollama ollama_chat vllm hosted_vllm "
    "lmstudio lm_studio lm-studio llamacpp llama_cpp llama-cpp llamafile tgi sglang "
    "text-generation-inference triton nim localai xinference mlx gpt4all"
)

OWN_HARDWARE: Final = frozenset(_OWN_HARDWARE.split(" "))
"""Providers that sell no tokens: the price of their models is an hour's rent."""

CATALOG_SELLER: Final = {"vertex": "google"}
"""Sellers that ``genai-prices`` keeps under another provider's id."""

_CLOSED: Final = (
    (re.compile(r"claude-"), "anthropic"),
    (
        re.compile(
            r"(gpt-(?!oss|j|neo|2\b)\d|o[134](-|$)|chatgpt-|gpt-(image|audio|realtime)"
            r"|text-embedding-(3-|ada-)|ft:gpt-)"
        ),
        "openai",
    ),
    (re.compile(r"gemini-\d"), "google"),
    (re.compile(r"grok-(?!1\b|2\b|oss)\d|grok-(code|build)"), "x-ai"),
    (re.compile(r"voyage-\d"), "voyageai"),
    (re.compile(r"sonar(-|$)"), "perplexity"),
)
"""Models with open rivals nowhere: the name alone says the price."""

_OPEN: Final = (
    (re.compile(r"deepseek-(chat|reasoner|flash|v\d)"), "deepseek"),
    (
        re.compile(r"(mistral|magistral|codestral|ministral|pixtral|devstral)-"),
        "mistral",
    ),
    (re.compile(r"command-|embed-(english|multilingual|v)|rerank-"), "cohere"),
    (re.compile(r"kimi-|moonshot-v"), "moonshotai"),
    (re.compile(r"glm-\d"), "zai"),
    (re.compile(r"minimax-m\d"), "minimax"),
)
"""Models others sell too: taken for their maker's only if no provider is named."""

_BEDROCK: Final = re.compile(
    r"arn:aws[a-z-]*:bedrock:"
    r"|((us-gov|us|eu|apac|jp|au|ca|global)\.)?(anthropic|amazon)\.[a-z]"
    r"|(us-gov|us|eu|apac|jp|au|ca|global)\.[a-z0-9]+\.[a-z]"
    r"|[a-z0-9]+\.[a-z][a-z0-9.-]*-(v\d+|\d+:\d+|v\d+:\d+)$"
)
"""
Bedrock's own ids: of a resource, of an inference profile, of a model by its maker.

Oracle, too, writes ``maker.model``, but of neither of the two and without a version.
"""


def seller_of(provider: str | None) -> str | None:
    """Return the seller for a provider name as sent, or None if it names none."""
    if not provider:
        return None
    name = provider.strip().lower()
    while name:
        if name in _SELLER_OF:
            return _SELLER_OF[name]
        name = name.rpartition(".")[0]
    return None


def guess_seller(provider: str | None, model: str) -> str | None:
    """
    Return who must have sold *model*, or None if that is not clear.

    Args:
        provider: Name as sent. Of a seller known to us it settles the question,
            but for OpenAI's: its client calls everyone's endpoints. An id that only
            Bedrock gives tells more: Anthropic's client says ``anthropic`` there, too.

        model: Model name in lower case.
    """
    named = (provider or "").strip().lower()
    seller = seller_of(named)
    if named in OWN_HARDWARE:
        return None
    if _BEDROCK.match(model):
        return "aws"
    if seller not in (None, "openai"):
        return None
    model = _GATEWAY.sub("", model)
    if (found := _PREFIXED.match(model)) and found[1] in _SELLER_OF:
        return _SELLER_OF[found[1]]
    _, slash, tail = model.partition("/")
    makers = _CLOSED + _OPEN if not named or seller == "openai" else _CLOSED
    name = tail if slash else model
    return next((maker for pattern, maker in makers if pattern.match(name)), None)


_LOCATION: Final = re.compile(
    r"(?:^|/)locations/([a-z0-9-]+)/"
    r"|^arn:aws[a-z-]*:bedrock:([a-z0-9-]+):"
    r"|^(us-gov|us|eu|apac|jp|au|ca|global)\.[a-z0-9]"
)


def region_of(model: str) -> str | None:
    """Return the region that a resource's or inference profile's name tells."""
    found = _LOCATION.search(model)
    return found and next(filter(None, found.groups()))


_GATEWAY: Final = re.compile(r"^litellm(_proxy)?/")
_PREFIXED: Final = re.compile(r"([^/:]+)[/:](.+)")
_ROUTED: Final = re.compile(r":(nitro|floor|exacto)$")
"""OpenRouter's ways to choose among hosts, whose prices differ anyway."""

_RESOURCE: Final = re.compile(r"(?:^|/)(?:models|inference-profile|foundation-model)/")
_LONG_CONTEXT: Final = re.compile(r"\[1m\]$")
_FINE_TUNE: Final = re.compile(r"^(ft:[^:]+):.*$")
_COMPACT_DATE: Final = re.compile(
    r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)"
)
_UNDATED_TUNE: Final = {
    "ft:gpt-4o-mini": "ft:gpt-4o-mini-2024-07-18",
    "ft:gpt-4o": "ft:gpt-4o-2024-08-06",
}


def spellings(seller: str, model: str) -> Iterator[str]:
    """
    Yield names under which *seller* may list *model*, the likeliest first.

    Args:
        seller: Seller in our words.

        model: Model name in lower case, as sent.
    """
    seen = set()
    for sent in (model, *_respelled(seller, model)):
        for name in (*_on_bedrock(seller, sent), sent):
            if name and name not in seen:
                seen.add(name)
                yield name


def _on_bedrock(seller: str, model: str) -> tuple[str, ...]:
    """
    Return Bedrock's id for a bare name of Anthropic's, which tells no profile.

    Requests have a profile; answers have the bare name. Regional profiles cost a tenth
    more, so the price is the one that is never too high.
    """
    is_bare = seller == "aws" and model.startswith("claude-")
    return (f"global.anthropic.{model}",) if is_bare else ()


def _respelled(seller: str, model: str) -> Iterator[str]:
    name = _GATEWAY.sub("", _LONG_CONTEXT.sub("", model.strip()))
    yield name
    if seller == "openrouter":
        name = _ROUTED.sub("", name)
        yield name
    if resource := list(_RESOURCE.finditer(name)):
        name = name[resource[-1].end() :]
        yield name
    if (found := _PREFIXED.match(name)) and _SELLER_OF.get(found[1]) == seller:
        name = found[2]
        yield name
    head, _, tail = name.partition("/")
    if head in _SELLER_OF and seller not in _LISTS_BY_MAKER:
        name = tail
        yield name
    if seller == "fireworks" and "/" not in name:
        yield f"accounts/fireworks/models/{name}"
    tune = _FINE_TUNE.sub(r"\1", name)
    yield _UNDATED_TUNE.get(tune, tune)
    yield _COMPACT_DATE.sub(r"-\1-\2-\3", name)
    yield name.replace("@", "-")


_LISTS_BY_MAKER: Final = frozenset({"openrouter", "together", "groq", "fireworks"})
"""Sellers whose model names start with the maker, so that it may not be cut off."""
