"""Journal, drain and account in one process and one folder, step by step."""

import time
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa

from collector.account.publish import publish_empty_tables
from collector.account.tick import Account, open_store
from collector.alerts import AlertStore
from collector.config import load_settings
from collector.drain import Drain, corruption_reporter
from collector.journal import Journal, JournalReader
from collector.lake.books import Books
from collector.lake.handoff import Handoff
from collector.lake.layout import LEDGER_TABLES
from collector.lake.local import LocalTarget
from pricing import bundled_book
from proto_handlers.content import ContentPolicy
from rollups.registry import find_rules


class Workshop:
    """
    Opens what a role needs when it is used; `reopen` is a restart.

    Without *rollups* those are not published, and without *rules* there are no
    findings, which is most of what a test takes. *parameters* are those of rules.
    """

    def __init__(
        self,
        folder: Path,
        *,
        wrap=lambda target: target,
        rollups=True,
        rules=True,
        parameters=None,
        **settings,
    ):
        self.settings = load_settings().model_copy(
            update={"data_dir": folder, **settings}
        )
        if parameters:
            of_rules = self.settings.rules.model_copy(update={"parameters": parameters})
            self.settings = self.settings.model_copy(update={"rules": of_rules})
        if not rules:
            names = tuple(rule.name for rule in find_rules())
            off = self.settings.rules.model_copy(update={"disabled": names})
            self.settings = self.settings.model_copy(update={"rules": off})
        self.wrap = wrap
        self.rollups = rollups
        self.exits = ExitStack()
        self.open()

    def open(self):
        self.journal = Journal.open(self.settings.journal_dir, self.settings.journal)
        self.exits.callback(self.journal.close)
        self.reader = JournalReader.open(
            self.settings.journal_dir, on_corrupt=corruption_reporter()
        )
        self.exits.callback(self.reader.close)
        self.target = LocalTarget(self.settings.data_dir / "lake")
        self.books = Books(self.target)
        self.books.adopt(bundled_book(), since_unix_nano=0)
        self.drain = Drain(
            self.reader,
            self.wrap(self.target),
            self.books,
            policy=ContentPolicy(),
            dimensions=self.settings.dimensions,
            handoff=Handoff(self.settings.handoff_dir, self.settings.dimensions),
        )
        self._account = None

    @property
    def account(self):
        if self._account is None:
            publish_empty_tables(self.target, tuple(self.settings.dimensions))
            alerts = AlertStore.open(self.settings.state_dir / "alerts.sqlite")
            self.exits.callback(alerts.close)
            store = open_store(self.settings)
            self._account = Account(self.settings, self.target, store, alerts=alerts)
            if not self.rollups:
                self._account._publish_rollups = lambda: 0
        return self._account

    def close(self):
        self.exits.close()

    def reopen(self):
        self.close()
        self.exits = ExitStack()
        self.open()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, request, *, received_unix_nano=None, tenant=None):
        """Let a request be durable in the journal."""
        self.journal.append(
            request.SerializeToString(),
            signal="logs" if hasattr(request, "resource_logs") else "traces",
            encoding="protobuf",
            tenant=tenant,
            received_unix_nano=received_unix_nano or time.time_ns(),
            payload_hash=bytes(16),
        )
        self.journal.sync()

    def drain_all(self):
        while self.drain.once() is not None:
            pass

    def account_all(self):
        while self.account.tick(publish=False).more:
            pass
        self.account.finish()

    def run(self, *requests):
        """Take requests all the way to published tables."""
        for request in requests:
            self.send(request)
        self.drain_all()
        self.account_all()

    def stored_spans(self):
        """Return the rows of ``lake/spans``."""
        return read_table(self.target, "spans")

    def published(self):
        """Return every derived table of the lake, without what depends on arrival."""
        return {
            name: read_table(self.target, name) for name in (*LEDGER_TABLES, "findings")
        }


def read_table(target, name) -> list[dict]:
    keys = [key for key in target.keys(name) if not key.endswith("empty.parquet")]
    tables = [target.read(key) for key in keys]
    return pa.concat_tables(tables).to_pylist() if tables else []
