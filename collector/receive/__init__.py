"""
Role 1: take OTLP over gRPC and HTTP, make it durable, say so.

It knows sockets, admission and which spans are valid. It knows neither prices nor
columns: what it accepts goes into the journal as it came.

**The promise**: a sender is told OK after its request is synced in the journal, or when
nothing of it had to be stored. `otlp_grpc` and `otlp_http` translate; `Intake.accept`
decides; `status` is the one place that turns an error into a code.
"""
