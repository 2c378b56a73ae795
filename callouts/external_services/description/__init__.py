"""What a document says: operations, schemas, hints, proposals; as people and as programs need it."""
