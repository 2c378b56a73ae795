"""`POST /services/Soap/u/<version>`: SOAP `login` and `logout`, for old clients, behind a setting that is off."""

from html import escape
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree as SafeElementTree
from defusedxml.common import DefusedXmlException
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables
from oauth2_provider.models import AccessToken

from isthmus.access import tokens
from isthmus.access.conf import AccessOptions
from isthmus.access.errors import RunAsUserRefused
from isthmus.access.identity import organization_id, user_id
from isthmus.access.run_as import check_run_as_user
from isthmus.access.sign_in import second_factor
from isthmus.access.tokens import checksum
from isthmus.logs import get_logger

__all__ = ["SoapLoginView"]

log = get_logger(__name__)

_LONGEST = 100_000
_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
    ' xmlns="urn:partner.soap.sforce.com" xmlns:sf="urn:fault.partner.soap.sforce.com"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    "<soapenv:Body>{}</soapenv:Body></soapenv:Envelope>"
)


@method_decorator(csrf_exempt, name="dispatch")
class SoapLoginView(View):
    """Logs a user in by name and password. Clients search the answer as a text, so its form is theirs."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        """Answer `login` or `logout`; anything else is a fault."""
        body = request.read(_LONGEST + 1)
        try:
            if len(body) > _LONGEST:
                raise ValueError
            call = _call(SafeElementTree.fromstring(body, forbid_dtd=True))
        except (ParseError, DefusedXmlException, ValueError, LookupError):
            return _fault("UNKNOWN_EXCEPTION", "The request is no SOAP envelope.")
        name = _local(call) if call is not None else ""
        if call is None or name not in {"login", "logout"}:
            return _fault("UNSUPPORTED_API_VERSION", "Only login and logout are answered here.")
        if name == "logout":
            return self._log_out(request)
        if not AccessOptions().password_flows:
            return _fault("INVALID_LOGIN", "Login by SOAP is switched off (ISTHMUS_ACCESS_PASSWORD_FLOWS).")
        return self._log_in(request, call)

    @sensitive_variables("password", "values")
    def _log_in(self, request: HttpRequest, call: Element) -> HttpResponse:
        values = {_local(child): child.text or "" for child in call}
        username, password = values.get("username", ""), values.get("password", "")
        user: Any = None
        if "\0" not in username:
            try:
                user = authenticate(request, username=username, password=password)
                if user is not None:
                    check_run_as_user(user)
                    user = None if second_factor.has_device(user) else user
            except (PermissionDenied, RunAsUserRefused):
                user = None
        if user is None:
            log.warning("soap.login_refused")
            told = "Invalid username, password, security token; or user locked out."
            return _fault("INVALID_LOGIN", told)
        text, _ = tokens.issue(user)
        log.info("soap.logged_in", user=user.get_username())
        return _answer(_login_response(user, text, request.path))

    def _log_out(self, request: HttpRequest) -> HttpResponse:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() in {"bearer", "oauth"}:
            AccessToken.objects.filter(token_checksum=checksum(text.strip())).delete()
        return _answer("<logoutResponse/>")


def _login_response(user: AbstractUser, token: str, path: str) -> str:
    version = path.split("/services/Soap/u/", 1)[1].split("/")[0]
    server = f"{settings.BASE_URL}/services/Soap/u/{version}/{organization_id(length=15)}"
    return (
        "<loginResponse><result>"
        f"<metadataServerUrl>{escape(server.replace('/Soap/u/', '/Soap/m/'))}</metadataServerUrl>"
        f"<passwordExpired>false</passwordExpired><sandbox>false</sandbox><serverUrl>{escape(server)}</serverUrl>"
        f"<sessionId>{escape(token)}</sessionId><userId>{user_id(user)}</userId><userInfo>"
        f"<organizationId>{organization_id()}</organizationId><organizationName>Isthmus</organizationName>"
        f"<userEmail>{escape(user.email)}</userEmail>"
        f"<userFullName>{escape(user.get_full_name() or user.get_username())}</userFullName>"
        f"<userId>{user_id(user)}</userId><userLanguage>en_US</userLanguage><userLocale>en_US</userLocale>"
        f"<userName>{escape(user.get_username())}</userName><userTimeZone>{escape(settings.TIME_ZONE)}</userTimeZone>"
        "<userType>Standard</userType></userInfo></result></loginResponse>"
    )


def _call(envelope: Element) -> Element | None:
    """Return what the envelope's body asks for, whatever prefixes the client writes."""
    body = next((child for child in envelope if _local(child) == "Body"), None)
    return next(iter(body), None) if body is not None else None


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _fault(code: str, message: str) -> HttpResponse:
    told = escape(message)
    return _answer(
        f"<soapenv:Fault><faultcode>sf:{code}</faultcode><faultstring>{code}: {told}</faultstring><detail>"
        f'<sf:LoginFault xsi:type="sf:LoginFault"><sf:exceptionCode>{code}</sf:exceptionCode>'
        f"<sf:exceptionMessage>{told}</sf:exceptionMessage></sf:LoginFault></detail></soapenv:Fault>",
        status=500,
    )


def _answer(body: str, *, status: int = 200) -> HttpResponse:
    answer = HttpResponse(_ENVELOPE.format(body), status=status, content_type="text/xml;charset=UTF-8")
    answer["Cache-Control"] = "no-store"
    return answer
