"""The addresses of the OAuth provider and of signing in."""

from django.urls import URLPattern, re_path

from isthmus.access.oauth.authorize import authorize
from isthmus.access.oauth.soap_login import SoapLoginView
from isthmus.access.oauth.views import (
    IdentityView,
    IntrospectView,
    RevokeView,
    TokenView,
    UserInfoView,
    openid_configuration,
    signing_keys,
)
from isthmus.access.sign_in.views import second_factor_page, two_step

app_name = "access"
urlpatterns: list[URLPattern] = [
    re_path(r"^sign-in/code/$", second_factor_page, name="second-factor"),
    re_path(r"^account/two-step/$", two_step, name="two-step"),
    re_path(r"^services/oauth2/authorize/?$", authorize, name="authorize"),
    re_path(r"^services/oauth2/token/?$", TokenView.as_view(), name="token"),
    re_path(r"^services/oauth2/revoke/?$", RevokeView.as_view(), name="revoke"),
    re_path(r"^services/oauth2/introspect/?$", IntrospectView.as_view(), name="introspect"),
    re_path(r"^services/oauth2/userinfo/?$", UserInfoView.as_view(), name="userinfo"),
    re_path(r"^services/Soap/u/[0-9.]+(?:/[0-9A-Za-z]{15,18})?/?$", SoapLoginView.as_view(), name="soap-login"),
    re_path(r"^id/keys/?$", signing_keys, name="signing-keys"),
    re_path(
        r"^id/(?P<organization>[0-9A-Za-z]{15,18})/(?P<user>[0-9A-Za-z]{15,18})/?$",
        IdentityView.as_view(),
        name="identity",
    ),
    re_path(r"^\.well-known/openid-configuration/?$", openid_configuration, name="openid-configuration"),
]
