"""A bare, hand-written Django REST framework view that does the same: update_or_create by the reference."""

import os

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application

NAME, HOST, PORT, USER = (os.environ[f"PEER_{part}"] for part in ("NAME", "HOST", "PORT", "USER"))

settings.configure(
    SECRET_KEY="peer",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["rest_framework"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
        "UNAUTHENTICATED_USER": None,
    },
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": NAME,
            "HOST": HOST,
            "PORT": PORT,
            "USER": USER,
            "CONN_MAX_AGE": None,
        }
    },
    USE_TZ=True,
)
django.setup()

from django.db import models  # noqa: E402 - after the settings
from django.urls import path  # noqa: E402
from rest_framework import serializers  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class PeerCase(models.Model):  # noqa: DJ008 - nobody prints it
    external_reference = models.CharField(max_length=255, unique=True)
    subject = models.CharField(max_length=255)
    supplied_email = models.CharField(max_length=255)
    description = models.TextField()

    class Meta:
        app_label = "peer"
        db_table = "peer_case"


class CaseSerializer(serializers.Serializer):
    externalReference = serializers.CharField(max_length=255)  # noqa: N815 - the name of the wire
    customerEmail = serializers.EmailField()  # noqa: N815 - the name of the wire
    subject = serializers.CharField(max_length=255)
    description = serializers.CharField()


class CaseView(APIView):
    def post(self, request):
        serializer = CaseSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = serializer.validated_data
        case, created = PeerCase.objects.update_or_create(
            external_reference=given["externalReference"],
            defaults={
                "subject": given["subject"],
                "supplied_email": given["customerEmail"],
                "description": given["description"],
            },
        )
        return Response({"caseId": case.pk, "status": "created" if created else "updated"}, 201 if created else 200)


urlpatterns = [path("cases", CaseView.as_view())]
application = get_wsgi_application()
