"""What the engine counts, for `/metrics` (Prometheus text format)."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from inkling.core import Priority, Usage

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """The counters of one engine. Each has its own registry: nothing global."""

    def __init__(self, model: str, kind: str, device: str) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "inkling_requests", "Requests by outcome", ["route", "outcome"], registry=registry
        )
        self._tokens = Counter(
            "inkling_tokens", "Tokens by what was done", ["work"], registry=registry
        )
        self._ttft = Histogram(
            "inkling_ttft_seconds",
            "Request received to first token",
            buckets=_SECONDS,
            registry=registry,
        )
        self._inter_token = Histogram(
            "inkling_inter_token_seconds",
            "Time between the tokens of one completion",
            buckets=_SECONDS,
            registry=registry,
        )
        self._queue = Gauge(
            "inkling_queue_length", "Jobs that wait or run", ["priority"], registry=registry
        )
        self._pages = Gauge("inkling_kv_pages_used", "KV pages in use", registry=registry)
        info = Gauge(
            "inkling_model_info", "The model", ["model", "kind", "device"], registry=registry
        )
        info.labels(model, kind, device).set(1)

    def count_request(self, route: str, outcome: str, usage: Usage | None = None) -> None:
        """One request is over: "ok", "cancelled" or "error"."""
        self._requests.labels(route, outcome).inc()
        if usage is not None:
            self._tokens.labels("prefilled").inc(usage.prefilled)
            self._tokens.labels("reused").inc(usage.reused)
            self._tokens.labels("decoded").inc(usage.completion_tokens)
            self._tokens.labels("drafted").inc(usage.drafted)
            self._tokens.labels("accepted").inc(usage.accepted)
            if usage.completion_tokens:
                self._ttft.observe(usage.ttft_ms / 1000)

    def observe_inter_token(self, seconds: float) -> None:
        """One token followed another of its completion. Any thread."""
        self._inter_token.observe(seconds)

    def render(self, queue: dict[Priority, int], num_pages_used: int) -> bytes:
        """The text of `/metrics`, with the gauges as they are now."""
        for priority, length in queue.items():
            self._queue.labels(priority.name.lower()).set(length)
        self._pages.set(num_pages_used)
        return generate_latest(self._registry)
