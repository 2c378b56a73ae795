"""Bare Django REST framework, as one writes it by hand: a view that upserts, a model view set, lists of rows."""

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

from django.db import models, transaction  # noqa: E402 - after the settings
from django.urls import include, path  # noqa: E402
from rest_framework import serializers, viewsets  # noqa: E402
from rest_framework.decorators import action  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.routers import SimpleRouter  # noqa: E402
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


class CaseModelSerializer(serializers.ModelSerializer):
    class Meta:
        model = PeerCase
        fields = ("id", "external_reference", "subject", "supplied_email", "description")


class CaseChangesSerializer(serializers.ModelSerializer):
    """What is told of a case whose reference stands in the address."""

    class Meta:
        model = PeerCase
        fields = ("subject", "supplied_email", "description")


class CaseRowSerializer(serializers.ModelSerializer):
    """A row of several: the reference may be there already."""

    class Meta:
        model = PeerCase
        fields = ("external_reference", "subject", "supplied_email", "description")
        extra_kwargs = {"external_reference": {"validators": []}}


class CaseViewSet(viewsets.ModelViewSet):
    queryset = PeerCase.objects.all()
    serializer_class = CaseModelSerializer

    @action(detail=False, methods=["patch"], url_path="by-reference/(?P<reference>[^/]+)")
    def by_reference(self, request, reference):
        serializer = CaseChangesSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        case, created = PeerCase.objects.update_or_create(
            external_reference=reference, defaults=serializer.validated_data
        )
        return Response({"id": case.pk, "created": created}, 201 if created else 200)

    @action(detail=False, methods=["patch"])
    def each(self, request):
        serializer = CaseRowSerializer(data=request.data, many=True)
        serializer.is_valid(raise_exception=True)
        answer = []
        with transaction.atomic():
            for row in serializer.validated_data:
                reference = row.pop("external_reference")
                case, created = PeerCase.objects.update_or_create(external_reference=reference, defaults=row)
                answer.append({"id": case.pk, "created": created})
        return Response(answer)

    @action(detail=False, methods=["patch"])
    def together(self, request):
        serializer = CaseRowSerializer(data=request.data, many=True)
        serializer.is_valid(raise_exception=True)
        cases = PeerCase.objects.bulk_create(
            [PeerCase(**row) for row in serializer.validated_data],
            update_conflicts=True,
            unique_fields=["external_reference"],
            update_fields=["subject", "supplied_email", "description"],
        )
        return Response([{"id": case.pk} for case in cases])


router = SimpleRouter()
router.register("records", CaseViewSet)

urlpatterns = [path("cases", CaseView.as_view()), path("", include(router.urls))]
application = get_wsgi_application()
