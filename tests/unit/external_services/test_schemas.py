"""Schemas of both OpenAPI versions constrain values as they say, and what they cannot say is left to the service."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callouts.external_services.description.schemas import compile_schema
from callouts.external_services.document.references import BrokenReference, Content


def problems(schema, value, *, version="3.0", direction="request", **schemas):
    content = {"components": {"schemas": {"It": schema, **schemas}}}
    validator = compile_schema(Content(content), "/components/schemas/It", dialect=version, direction=direction)
    return [(found.pointer, found.message) for found in validator.problems(value, base="/body")]


def test_every_problem_is_told_with_its_place_and_without_the_value():
    schema = {
        "type": "object",
        "required": ["name"],
        "properties": {"age": {"type": "integer"}, "tags": {"type": "array", "items": {"maxLength": 2}}},
    }
    assert sorted(problems(schema, {"age": "secret", "tags": ["ok", "secret"]})) == [
        ("/body", '"name" is a required property'),
        ("/body/age", 'the value is not of type "integer"'),
        ("/body/tags/1", "the value is longer than 2 characters"),
    ]


def test_circles_end():
    tree = {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#/components/schemas/It"}}},
    }
    assert problems(tree, {"children": [{"children": []}]}) == []
    assert problems(tree, {"children": [{"children": [1]}]}) == [
        ("/body/children/0/children/0", 'the value is not of type "object"')
    ]


@pytest.mark.parametrize(
    ("schema", "value", "is_good"),
    [
        ({"type": "string", "nullable": True}, None, True),
        ({"type": "string", "nullable": True}, 1, False),
        ({"type": "string", "enum": ["a"], "nullable": True}, None, True),
        ({"allOf": [{"$ref": "#/components/schemas/Other"}], "nullable": True}, None, True),
        ({"allOf": [{"$ref": "#/components/schemas/Other"}], "nullable": True}, "x", False),
        ({"$ref": "#/components/schemas/Other", "nullable": True}, None, False),
        ({"type": "number", "minimum": 1, "exclusiveMinimum": True}, 1, False),
        ({"type": "number", "maximum": 5, "exclusiveMaximum": False}, 5, True),
        ({"type": "file"}, 7, True),
        ({"type": "string", "required": True}, "x", True),
        ({"type": "string", "pattern": "("}, "x", True),
        ({"type": "string", "pattern": "("}, 1, False),
        ({"type": "string", "maxLength": "ten"}, "x", True),
        ({"multipleOf": 0}, 3, True),
        ({"enum": []}, 3, True),
        ({"type": "array"}, [1], True),
        ({"type": "object", "additionalProperties": False, "properties": {"a": {}}}, {"b": 1}, False),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"b": "x"}, False),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, 1.5, False),
        ({"not": {"type": "string"}}, "x", False),
        ({"properties": {"$ref": {"type": "string"}}}, {"$ref": 1}, False),
        ({"type": "integer", "example": {"$ref": "#/nowhere"}}, 1, True),
        ({"type": "integer", "$id": "http://elsewhere.example/x", "format": "int32"}, 1, True),
    ],
)
def test_openapi_3_0(schema, value, is_good):
    assert (problems(schema, value, Other={"type": "integer"}) == []) is is_good


@pytest.mark.parametrize(
    ("schema", "value", "is_good"),
    [
        ({"type": ["string", "null"]}, None, True),
        ({"type": "string", "nullable": True}, None, False),
        ({"const": 3}, 4, False),
        ({"exclusiveMinimum": 1}, 1, False),
        ({"$ref": "#/components/schemas/Other", "maximum": 5}, 6, False),
        ({"prefixItems": [{"type": "string"}], "items": {"type": "integer"}}, ["a", "b"], False),
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": 1}, False),
        ({"patternProperties": {"^x": {"type": "integer"}}}, {"xy": "s"}, False),
        ({"properties": {"a": True, "b": False}}, {"b": 1}, False),
        ({"properties": {"a": {}}, "unevaluatedProperties": False}, {"z": 1}, False),
        ({"contains": {"const": 1}, "minContains": 2}, [1], False),
        (True, "anything", True),
    ],
)
def test_openapi_3_1(schema, value, is_good):
    assert (problems(schema, value, version="3.1", Other={"type": "integer"}) == []) is is_good


def test_what_only_the_other_side_writes_is_not_required_of_this_one():
    schema = {
        "type": "object",
        "required": ["id", "password", "name"],
        "properties": {"id": {"$ref": "#/components/schemas/Id"}, "password": {"writeOnly": True}, "name": {}},
    }
    identity = {"type": "string", "readOnly": True}
    assert problems(schema, {"password": "p", "name": "n"}, Id=identity) == []
    assert problems(schema, {"id": "1", "name": "n"}, direction="response", Id=identity) == []
    assert problems(schema, {"name": "n"}, direction="response", Id=identity) == [
        ("/body", '"id" is a required property')
    ]


def test_a_pattern_that_runs_wild_is_stopped():
    assert problems({"type": "string", "pattern": "^(a|a)*$(?=x)"}, "a" * 40 + "b")


def test_at_most_fifty_problems_are_told():
    assert len(problems({"type": "array", "items": {"type": "string"}}, list(range(200)))) == 50


def test_a_schema_that_is_not_there():
    with pytest.raises(BrokenReference):
        compile_schema(Content({}), "/components/schemas/None", dialect="3.0")


SCHEMAS = st.recursive(
    st.booleans() | st.none() | st.text(max_size=3) | st.integers(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["type", "properties", "items", "allOf", "enum", "required", "nullable", "minimum", "exclusiveMinimum",
             "pattern", "maxLength", "$ref", "additionalProperties", "multipleOf", "not", "prefixItems", "const"]
        ),
        inner | st.sampled_from(["string", "object", "#/components/schemas/It", "#/x"]),
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(
    SCHEMAS,
    st.sampled_from(["2.0", "3.0", "3.1"]),
    st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
)
def test_whatever_stands_where_a_schema_should_be_is_used(schema, dialect, value):
    content = {"components": {"schemas": {"It": schema}}}
    found = compile_schema(Content(content), "/components/schemas/It", dialect=dialect).problems(value)
    assert all(problem.pointer.startswith("/") and problem.message for problem in found)


@pytest.mark.parametrize(
    ("schema", "value", "is_good"),
    [
        ({"type": "string", "format": "date"}, "2026-02-30", False),
        ({"type": "string", "format": "date"}, "2026-02-28", True),
        ({"type": "string", "format": "date-time"}, "2026-02-28", False),
        ({"type": "string", "format": "date-time"}, "2026-02-28T10:00:00Z", True),
        ({"type": "string", "format": "uuid"}, "no", False),
        ({"type": "string", "format": "byte"}, "aGk=", True),
        ({"type": "string", "format": "byte"}, "a", False),
        ({"type": "string", "format": "email"}, "whatever the service takes", True),
        ({"type": "integer", "format": "int32"}, 2**31, False),
        ({"type": "integer", "format": "int32", "maximum": 2**40}, 2**31, True),
        ({"type": "integer", "format": "int64"}, 2**63, False),
        ({"type": "integer", "format": "date"}, 3, True),
    ],
)
def test_formats(schema, value, is_good):
    assert (problems(schema, value) == []) is is_good


PETS = {
    "Cat": {"type": "object", "required": ["kind", "lives"], "properties": {"lives": {"type": "integer"}}},
    "Dog": {"type": "object", "required": ["kind"], "properties": {"bark": {"type": "string"}}},
}


def one_of(mapping=None):
    discriminator = {"propertyName": "kind", **({"mapping": mapping} if mapping else {})}
    refs = [{"$ref": f"#/components/schemas/{name}"} for name in PETS]
    return {"oneOf": refs, "discriminator": discriminator}


def test_the_discriminator_chooses_so_that_the_message_is_about_what_was_meant():
    assert problems(one_of(), {"kind": "Cat"}, **PETS) == [("/body", '"lives" is a required property')]
    assert problems(one_of(), {"kind": "Dog", "bark": 1}, **PETS) == [
        ("/body/bark", 'the value is not of type "string"')
    ]
    # Both alternatives take this; a bare `oneOf` would refuse it.
    assert problems(one_of(), {"kind": "Dog", "lives": 9}, **PETS) == []


def test_a_discriminator_with_a_mapping_knows_its_values():
    mapped = one_of({"tom": "Cat", "rex": "#/components/schemas/Dog"})
    assert problems(mapped, {"kind": "tom", "lives": 9}, **PETS) == []
    assert problems(mapped, {"kind": "hamster"}, **PETS) != []
    assert problems(mapped, {"lives": 9}, **PETS) == [("/body", '"kind" is a required property')]


def test_values_that_no_schema_is_named_after_fall_back_to_the_alternatives():
    assert problems(one_of(), {"kind": "tomcat", "lives": 9}, **PETS) == []
    assert problems(one_of(), {"kind": "tomcat", "lives": "x", "bark": 1}, **PETS) != []


def test_a_broken_reference_takes_any_value():
    schema = {"properties": {"a": {"$ref": "#/nowhere"}, "b": {"type": "integer"}}}
    assert problems(schema, {"a": object.__name__, "b": 1}) == []
    assert problems(schema, {"a": 1, "b": "x"}) == [("/body/b", 'the value is not of type "integer"')]


def test_anchors():
    schema = {"properties": {"a": {"$ref": "#here"}, "b": {"$ref": "http://x.example/there"}}}
    other = {"$anchor": "here", "type": "integer"}
    another = {"$id": "http://x.example/there", "type": "string"}
    assert problems(schema, {"a": 1, "b": "x"}, version="3.1", A=other, B=another) == []
    assert len(problems(schema, {"a": "x", "b": 1}, version="3.1", A=other, B=another)) == 2


def test_nullable_of_openapi_2():
    assert problems({"type": "string", "x-nullable": True}, None, version="2.0") == []
    assert problems({"type": "string"}, None, version="2.0") != []
