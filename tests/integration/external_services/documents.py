"""Documents that several tests register."""

SWAGGER = {
    "swagger": "2.0",
    "host": "api.example",
    "basePath": "/v1",
    "consumes": ["application/json"],
    "produces": ["application/json", "application/xml"],
    "parameters": {"Page": {"name": "page", "in": "query", "type": "integer"}},
    "definitions": {"Pet": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}},
    "paths": {
        "/pets": {
            "parameters": [{"$ref": "#/parameters/Page"}],
            "get": {
                "operationId": "list",
                "parameters": [
                    {"name": "tags", "in": "query", "type": "array", "items": {"type": "string"},
                     "collectionFormat": "pipes"},
                    {"name": "ids", "in": "query", "type": "array", "items": {"type": "string"},
                     "collectionFormat": "multi"},
                ],
                "responses": {
                    "200": {
                        "schema": {"type": "array", "items": {"$ref": "#/definitions/Pet"}},
                        "headers": {"X-Left": {"type": "integer"}},
                    }
                },
            },
            "post": {
                "operationId": "add",
                "parameters": [
                    {"name": "pet", "in": "body", "required": True, "schema": {"$ref": "#/definitions/Pet"}}
                ],
                "responses": {"201": {"description": ""}},
            },
        },
        "/photos": {
            "post": {
                "operationId": "photo",
                "consumes": ["multipart/form-data"],
                "parameters": [
                    {"name": "file", "in": "formData", "type": "file", "required": True},
                    {"name": "title", "in": "formData", "type": "string"},
                ],
                "responses": {},
            }
        },
    },
}  # fmt: skip
