"""The limit: a bare loop that takes one row at a time with SKIP LOCKED and notes that it is done, on `PEER_DSN`."""

import os

import psycopg

TAKE = """
UPDATE bare_jobs SET state = 'done' WHERE id = (
    SELECT id FROM bare_jobs WHERE state = 'todo' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING id
"""


def main() -> None:
    """Run until nothing is left."""
    with psycopg.connect(os.environ["PEER_DSN"], autocommit=True) as connection:
        while connection.execute(TAKE, prepare=True).fetchone():
            pass


if __name__ == "__main__":
    main()
