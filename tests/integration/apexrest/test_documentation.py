"""What the guide shows works as it is written."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from apexrest import registry
from crm.models import Case

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "custom-rest-endpoints.md"


@pytest.mark.django_db
def test_the_guides_endpoint_runs(rest_context):
    example, *_, test_of_it = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    scope = {"__name__": "guide"}
    user = User.objects.create_superuser("author")
    with registry.register_temporarily():
        exec(compile(example, str(GUIDE), "exec", dont_inherit=True), scope)
        exec(compile(test_of_it, str(GUIDE), "exec", dont_inherit=True), scope)
        scope["test_a_complaint_is_read"](rest_context)
        with rest_context(user=user) as rest:
            complaint = scope["Complaint"](reference="C-1", text="Too loud.")
            receipt = scope["Complaints"]().create(complaint)
    assert rest.response.status == 201
    assert receipt.caseId == Case.objects.get(external_reference="C-1").record_id
