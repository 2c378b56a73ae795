"""Apps publish by having a `rest_resources.py`; a mistake in it stops the start."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def manage(*arguments, apps, path, data_dir):
    environment = {
        **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
        "ISTHMUS_APPS": apps,
        "ISTHMUS_DATA_DIR": str(data_dir),
        "PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT])),
    }
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_apps_rest_resources_are_found(tmp_path):
    script = "from apexrest import registry; print(*(one.mapping for one in registry.all_resources()))"
    ran = manage("shell", "-v0", "-c", script, apps="tests.rest_samples", path=[], data_dir=tmp_path / "data")
    assert ran.returncode == 0, ran.stderr
    assert {"/t/echo/*", "/t/optional", "/t/support-requests/*", "/t/trouble/*"} <= set(ran.stdout.split())


def test_two_apps_with_one_mapping_do_not_start(tmp_path):
    for name in ("first", "second"):
        package = tmp_path / f"{name}_orders"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "rest_resources.py").write_text(
            "from apexrest import http_get, rest_resource\n\n"
            '@rest_resource("/t/orders")\n'
            "class Orders:\n"
            "    @http_get\n"
            "    def read(self): ...\n"
        )
    ran = manage("check", apps="first_orders,second_orders", path=[tmp_path], data_dir=tmp_path / "data")
    assert ran.returncode != 0
    assert (
        "The URL mapping /t/orders belongs to first_orders.rest_resources.Orders; "
        "second_orders.rest_resources.Orders needs another."
    ) in ran.stderr
