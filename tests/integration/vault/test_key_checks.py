"""A wrong key is a clear refusal at start, not a secret that does not open in the middle of the night."""

import os
import subprocess
import sys

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from isthmus.keys import new_encryption_key
from isthmus.vault.errors import WrongKey
from isthmus.vault.key_checks import refuse_wrong_keys
from isthmus.vault.models import KeyCheck

OLD, NEW = new_encryption_key(), new_encryption_key()
OLD_ID = OLD.partition(":")[0]
IMPOSTOR = f"{OLD_ID}:{NEW.partition(':')[2]}"


@pytest.mark.django_db
def test_each_key_is_remembered_when_it_is_met_first():
    with override_settings(ISTHMUS_ENCRYPTION_KEYS=f"{NEW},{OLD}"):
        refuse_wrong_keys()
        refuse_wrong_keys()
    assert set(KeyCheck.objects.values_list("key_id", flat=True)) >= {OLD_ID, NEW.partition(":")[0]}


@pytest.mark.django_db
def test_another_key_under_the_same_id_is_refused_and_named():
    with override_settings(ISTHMUS_ENCRYPTION_KEYS=OLD):
        refuse_wrong_keys()
    with override_settings(ISTHMUS_ENCRYPTION_KEYS=IMPOSTOR):
        with pytest.raises(WrongKey, match=OLD_ID) as caught:
            refuse_wrong_keys()
        (problem,) = [found for found in run_checks(databases=["default"]) if found.id == "vault.E004"]
    assert IMPOSTOR.partition(":")[2] not in str(caught.value) + problem.msg
    with override_settings(ISTHMUS_ENCRYPTION_KEYS=f"{NEW},{OLD}"):
        refuse_wrong_keys()


@pytest.mark.processes
def test_no_process_starts_with_a_wrong_key(tmp_path):
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        "ISTHMUS_DATA_DIR": str(tmp_path),
        "ISTHMUS_ENCRYPTION_KEYS": OLD,
        "DJANGO_SETTINGS_MODULE": "isthmus.settings",
        "PYTHONPATH": "platform",
    }
    remember = (
        "import django; django.setup(); from django.core.management import call_command as c; "
        "c('migrate', 'vault', verbosity=0); from isthmus.vault.key_checks import refuse_wrong_keys as r; r()"
    )
    subprocess.run([sys.executable, "-c", remember], env=environment, check=True, timeout=60)
    environment["ISTHMUS_ENCRYPTION_KEYS"] = IMPOSTOR
    ended = {}
    for process, arguments in {
        "web": ["-c", "import isthmus.asgi"],
        "worker": ["manage.py", "worker"],
        "bus": ["manage.py", "bus"],
    }.items():
        found = subprocess.run(
            [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=60
        )
        ended[process] = (found.returncode != 0, f"under the id {OLD_ID} is not the one" in found.stderr)
    assert ended == dict.fromkeys(("web", "worker", "bus"), (True, True))
