"""Settings: the only module that reads a configuration file or the environment."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from typing_extensions import override

from collector.errors import ConfigError
from collector.sections import (
    GrpcSettings,
    HttpSettings,
    Listen,
    ReceiveSettings,
    Section,
    WebSettings,
)

ENVIRONMENT_PREFIX: Final = "SPANLEDGER_"
CONFIG_VARIABLE: Final = "SPANLEDGER_CONFIG"
_EXPECT_WHEEL: Final = "SPANLEDGER_EXPECT_WHEEL"


class JournalSettings(Section):
    """Where requests wait until they are in the lake."""

    segment_bytes: int = Field(default=64 << 20, ge=1 << 20)
    """Size in bytes of one preallocated segment."""
    max_bytes: int = Field(default=4 << 30, ge=1 << 20)
    """Size in bytes of all segments at which senders are told to retry."""


class DrainSettings(Section):
    """The drain role."""

    status_listen: Listen | None = None
    """Health and metrics of a drain role that runs alone."""


class StoreSettings(Section):
    """The lake."""

    url: str | None = None
    """Directory or bucket URL of the lake; default ``<data_dir>/lake``."""
    flush_seconds: float = Field(default=2.0, gt=0)
    """Longest time in seconds that a span waits for its object."""
    flush_spans: int = Field(default=65536, gt=0)
    """Spans after which an object is written at once."""


class AccountSettings(Section):
    """The account role."""

    tick_seconds: float = Field(default=2.0, gt=0)
    """Longest time in seconds between two ticks; a new commit wakes it at once."""
    window_hours: float = Field(default=24.0, gt=0)
    """Hours that a silent trace stays in the working tables."""
    memory_limit: str = "256MiB"
    """Memory of the working database; beyond it, it spills to disk."""


class RetentionSettings(Section):
    """How long the lake is kept; nothing is deleted without a number."""

    spans_days: int | None = Field(default=None, ge=2)
    """Days after which raw spans are deleted; the ledger made of them stays."""
    ledger_days: int | None = Field(default=None, ge=2)
    """Days after which calls, runs, rollups and all other tables are deleted."""

    @model_validator(mode="after")
    def _order(self) -> "RetentionSettings":
        if self.ledger_days is None:
            return self
        if self.spans_days is None or self.spans_days > self.ledger_days:
            message = "ledger_days needs spans_days, which must not be more"
            raise ValueError(message)
        return self


class ContentSettings(Section):
    """Message content (prompts, answers, tool arguments and results)."""

    keep: bool = False
    """Keep message content in the lake; by default only size and hash are kept."""
    max_bytes: int = Field(default=16384, gt=0)
    """Bytes kept of each content attribute when ``keep`` is on."""
    hash_key: SecretStr | None = None
    """Key of the content hashes; made once and kept in the lake if not set."""


class PriceSettings(Section):
    """The price book."""

    book: Path | None = None
    """A price book file to use instead of the one that `prices update` took."""
    overlay: Path | None = None
    """TOML file with negotiated, replaced and own prices."""


class BudgetSettings(Section):
    """An amount that a dimension may spend in a period."""

    name: str
    """Name of the budget, unique."""
    dimension: str = "feature"
    """Column of ``calls`` that the budget is for; ``total`` for everything."""
    value: str | None = None
    """Only this value of the dimension; none means each value for itself."""
    period: Literal["hour", "day", "week", "month"] = "day"
    """Length of the period, in UTC calendar units."""
    measure: Literal["cost_usd", "input_tokens", "output_tokens"] = "cost_usd"
    """What is added up; costs as recorded, and when known, what `reprice` changed."""
    limit: str
    """The amount, as a decimal number in a string."""
    thresholds: tuple[int, ...] = (50, 80, 100)
    """Percentages of the limit at which an alert is sent, once each per period."""

    @model_validator(mode="after")
    def _amounts(self) -> "BudgetSettings":
        if not re.fullmatch(r"\d{1,15}(\.\d{1,12})?", self.limit):
            message = f"limit {self.limit!r} is not a decimal number"
            raise ValueError(message)
        if not self.thresholds or min(self.thresholds) <= 0:
            message = "thresholds are percentages above 0"
            raise ValueError(message)
        return self


class RuleSettings(Section):
    """Alert rules."""

    dir: Path | None = None
    """Directory of the user's own ``.sql`` rules."""
    disabled: tuple[str, ...] = ()
    """Names of rules that do not run."""
    parameters: dict[str, dict[str, float]] = Field(default={})
    """Per rule, values for its parameters instead of the defaults."""


class WebhookSettings(Section):
    """Where alerts are sent."""

    url: str
    """Address that receives a POST per alert."""
    secret: SecretStr | None = None
    """Signing secret, ``whsec_`` and base64; none sends without a signature.
    For ``pagerduty`` the routing key of the integration instead."""
    format: Literal["generic", "slack", "pagerduty", "alertmanager"] = "generic"
    """Shape of the body."""
    min_severity: Literal["info", "warning", "critical"] = "warning"
    """Least severity that is sent."""
    rules: tuple[str, ...] = ()
    """Only these rules; none means all."""


class AlertSettings(Section):
    """Delivery of alerts."""

    webhook_url: str | None = None
    """The one-webhook short form: address."""
    webhook_secret: SecretStr | None = None
    """The one-webhook short form: signing secret."""
    webhooks: tuple[WebhookSettings, ...] = ()
    """Webhooks with settings of their own."""
    runs_told: int = Field(default=3, ge=0)
    """Runs of one feature and agent that are told one by one in a UTC day, per rule;
    with more, one alert about all of them names the costliest."""
    pending_seconds: float = Field(default=0.0, ge=0)
    """Time in seconds a condition must hold before it fires; others never wait."""
    cooldown_seconds: float = Field(default=900.0, ge=0)
    """Time in seconds an alert must be quiet before it resolves."""
    renotify_seconds: float = Field(default=14400.0, gt=0)
    """Time in seconds after which an alert that still fires is sent again."""
    max_per_minute: int = Field(default=60, gt=0)
    """Alerts told one by one to each webhook in a minute; others share one digest."""
    max_attempts: int = Field(default=12, gt=0)
    """Deliveries tried before an alert is a dead letter."""

    def targets(self) -> tuple[WebhookSettings, ...]:
        """Return all webhooks, the short form first."""
        if self.webhook_url is None:
            return self.webhooks
        short = WebhookSettings(url=self.webhook_url, secret=self.webhook_secret)
        return (short, *self.webhooks)


class Settings(BaseSettings):
    """All settings: arguments, environment, TOML file, defaults, in this order."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    data_dir: Path = Path("data")
    """Directory that holds ``journal/``, ``lake/`` and ``state/``; on a local disk."""
    shutdown_seconds: float = Field(default=25.0, gt=0)
    """Time in seconds that a clean shutdown may take."""
    grpc: GrpcSettings = GrpcSettings()
    """OTLP over gRPC."""
    http: HttpSettings = HttpSettings()
    """OTLP over HTTP."""
    web: WebSettings = WebSettings()
    """Health, metrics, pages and API."""
    receive: ReceiveSettings = ReceiveSettings()
    """Admission of requests."""
    journal: JournalSettings = JournalSettings()
    """Where requests wait until they are in the lake."""
    drain: DrainSettings = DrainSettings()
    """The drain role."""
    store: StoreSettings = StoreSettings()
    """The lake."""
    account: AccountSettings = AccountSettings()
    """The account role."""
    retention: RetentionSettings = RetentionSettings()
    """How long the lake is kept."""
    content: ContentSettings = ContentSettings()
    """Message content."""
    dimensions: dict[str, tuple[str, ...]] = {}
    """Attribute keys that feed a ledger dimension; new names become columns."""
    prices: PriceSettings = PriceSettings()
    """The price book."""
    budgets: tuple[BudgetSettings, ...] = ()
    """Budgets."""
    rules: RuleSettings = RuleSettings()
    """Alert rules."""
    alerts: AlertSettings = AlertSettings()
    """Delivery of alerts."""

    @model_validator(mode="after")
    def _keep_the_window(self) -> "Settings":
        days = self.retention.spans_days
        if days is not None and days * 24 < self.account.window_hours + 24:
            message = (
                f"retention.spans_days {days} is not a day more than"
                f" account.window_hours {self.account.window_hours:g}"
            )
            raise ValueError(message)
        return self

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    @property
    def journal_dir(self) -> Path:
        """Directory of the journal."""
        return self.data_dir / "journal"

    @property
    def state_dir(self) -> Path:
        """Directory of what is rebuildable, locks and alert states."""
        return self.data_dir / "state"

    @property
    def handoff_dir(self) -> Path:
        """Directory of what drain has worked out already for account."""
        return self.state_dir / "handoff"

    @property
    def lake_url(self) -> str:
        """Directory or bucket URL of the lake."""
        return self.store.url or str(self.data_dir / "lake")


def load_settings(path: Path | None = None, **overrides: object) -> Settings:
    """
    Read the settings.

    Args:
        path: TOML file; default is the file that ``SPANLEDGER_CONFIG`` names, if set.

        overrides: Top-level settings that go before everything else.

    Raises:
        ConfigError: The file cannot be read, a key is unknown or a value is bad.
    """
    if path is None and (named := os.environ.get(CONFIG_VARIABLE)):
        path = Path(named)
    values = _read_toml(path) if path else {}
    _refuse_unknown_variables()
    try:
        settings = Settings(**values)
        return settings.model_copy(update=overrides) if overrides else settings
    except ValidationError as error:
        raise ConfigError(_first_problem(error, path)) from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        message = f"settings: {path}: {error.strerror}"
        raise ConfigError(message) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"settings: {path}: {error}"
        raise ConfigError(message) from None


def _refuse_unknown_variables() -> None:
    sections = {name.upper() for name in Settings.model_fields}
    known = {CONFIG_VARIABLE, _EXPECT_WHEEL}
    for variable in sorted(os.environ):
        if not variable.upper().startswith(ENVIRONMENT_PREFIX) or variable in known:
            continue
        section = variable.upper()[len(ENVIRONMENT_PREFIX) :].split("__")[0]
        if section not in sections:
            message = f"settings: unknown variable {variable}"
            raise ConfigError(message)


def _first_problem(error: ValidationError, path: Path | None) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    source = f"{path} or environment" if path else "environment"
    if problem["type"] == "extra_forbidden":
        return f"settings: unknown key {place} ({source})"
    return f"settings: {place}: {problem['msg']} ({source})"
