"""
A small agent workload through the whole service, checked to the pico-dollar.

    workload   what the agents do and cost; knows nothing of the service
    agents     the agents as an instrumented app: OpenTelemetry SDK, OTLP/HTTP
    endpoint   the webhook endpoint that verifies signatures
    lake       the numbers as any reader of the Parquet files gets them
    checks     workload against lake and webhooks
"""

from collector.demo.run import run_demo

__all__ = ["run_demo"]
