"""Which class answers which address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apexrest import http_get, http_post, registry, rest_resource
from apexrest.errors import EndpointMisdeclared, MappingTaken


@pytest.fixture(autouse=True)
def _own_registry():
    with registry.register_temporarily():
        yield


def publish(mapping):
    @rest_resource(mapping)
    class Published:
        @http_get
        def read(self):
            return None

    return Published


def found(path):
    matched = registry.match(path)
    return matched and (matched.resource.mapping, matched.wildcard)


def test_the_longest_mapping_wins_and_an_exact_one_before_all():
    for mapping in ("/t/*", "/t/orders/*", "/t/orders/new", "/t/orders"):
        publish(mapping)
    assert found("/t/orders") == ("/t/orders", "")
    assert found("/t/orders/") == ("/t/orders", "")
    assert found("/t/orders/new") == ("/t/orders/new", "")
    assert found("/t/orders/new/x") == ("/t/orders/*", "new/x")
    assert found("/t/orders/42/lines/") == ("/t/orders/*", "42/lines")
    assert found("//t///orders//42") == ("/t/orders/*", "42")
    assert found("/t/ordersx") == ("/t/*", "ordersx")
    assert found("/t") == ("/t/*", "")
    assert found("/T/orders") is None
    assert found("/") is None
    assert found("") is None


def test_a_wildcard_may_take_everything():
    publish("/*")
    assert found("/") == ("/*", "")
    assert found("/a/b") == ("/*", "a/b")


def test_what_only_reads_needs_no_key():
    with pytest.raises(EndpointMisdeclared, match="needs no Idempotency-Key"):

        @rest_resource("/t/read")
        class Read:
            @http_get(needs_idempotency_key=True)
            def read(self):
                return None


@pytest.mark.parametrize("again", ["/t/orders", "/t/orders/"])
def test_two_classes_cannot_have_one_mapping(again):
    publish("/t/orders/")
    with pytest.raises(MappingTaken, match=r"/t/orders belongs to tests.*Published; .* needs another"):
        publish(again)


@pytest.mark.parametrize(
    "mapping", ["", "orders", "/a*", "/*/b", "/a/*/b", "/a//b", "/a b", "/a?b", "/a#b", "/a%20b", "/" + "a" * 255]
)
def test_a_mapping_that_could_not_match_is_refused(mapping):
    with pytest.raises(EndpointMisdeclared):
        publish(mapping)
    assert not any(resource.mapping == mapping for resource in registry.all_resources())


@given(st.lists(st.text("ab*", min_size=1, max_size=3), max_size=4), st.lists(st.sampled_from("ab"), max_size=5))
def test_a_match_is_a_prefix_of_the_path(mapping_steps, steps):
    with registry.register_temporarily():
        try:
            publish("/" + "/".join(mapping_steps))
        except (EndpointMisdeclared, MappingTaken):
            return
        matched = registry.match("/".join(steps))
        if matched:
            base = matched.resource.mapping.removesuffix("*").rstrip("/")
            assert f"{base}/{matched.wildcard}".rstrip("/") == "/".join(["", *steps]).rstrip("/")


def test_methods_are_found_in_base_classes_too():
    class Base:
        @http_get
        def read(self):
            return "read"

    @rest_resource("/t/inherits")
    class Derived(Base):
        @http_post
        def create(self):
            return "created"

    resource = registry.match("/t/inherits").resource
    assert resource.cls is Derived
    assert resource.http_methods == ["GET", "POST"]
    assert resource.endpoints["GET"].call({}) == "read"


def test_a_class_that_cannot_work_says_why_and_is_not_published():
    def class_with(**members):
        return type("Wrong", (), members)

    @http_post
    def one(self): ...

    @http_post
    def two(self): ...

    def untyped(self, item): ...

    def starred(self, *items: int): ...

    def unknown(self, item: "Nothing"): ...  # noqa: F821 - that is the point

    def read(self, item: int): ...

    async def waits(self): ...

    def with_argument(self, needed): ...

    cases = [
        (lambda: class_with(), "answers no HTTP method"),
        (lambda: class_with(a=one, b=two), "two methods for POST: a and b"),
        (lambda: class_with(a=staticmethod(one)), "static or class method"),
        (lambda: class_with(a=http_post(untyped)), "item needs a type"),
        (lambda: class_with(a=http_post(starred)), "items must be an ordinary parameter"),
        (lambda: class_with(a=http_post(unknown)), "annotation that cannot be read"),
        (lambda: class_with(a=http_get(read)), "answers GET, which has no body"),
        (lambda: class_with(a=http_post(waits)), "asynchronous"),
        (lambda: class_with(a=http_get(one)), "answers two HTTP methods"),
        (lambda: class_with(a=http_get(staticmethod(one))), "takes an ordinary method"),
        (lambda: class_with(a=one, __init__=with_argument), "without arguments"),
        (lambda: one, "takes a class"),
    ]
    for make, text in cases:
        with pytest.raises(EndpointMisdeclared, match=text):
            rest_resource("/t/wrong")(make())
    assert registry.match("/t/wrong") is None
