"""The Record explorer: what its pages show, made of the API's answers and of what the user sees of the objects."""
