"""FastAPI with asyncpg doing only the one statement."""

import os
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI, Response
from pydantic import BaseModel

NAME, HOST, PORT, USER = (os.environ[f"PEER_{part}"] for part in ("NAME", "HOST", "PORT", "USER"))
STATEMENT = """
INSERT INTO peer_case (external_reference, subject, supplied_email, description) VALUES ($1, $2, $3, $4)
ON CONFLICT (external_reference) DO UPDATE SET subject = excluded.subject, supplied_email = excluded.supplied_email,
description = excluded.description RETURNING id, xmax = 0
"""


class Case(BaseModel):
    externalReference: str  # noqa: N815 - the name of the wire
    customerEmail: str  # noqa: N815 - the name of the wire
    subject: str
    description: str


@asynccontextmanager
async def lifespan(application):
    application.state.pool = await asyncpg.create_pool(
        host=HOST, port=int(PORT), user=USER, database=NAME, min_size=8, max_size=8
    )
    yield
    await application.state.pool.close()


application = FastAPI(lifespan=lifespan)


@application.post("/cases")
async def create(case: Case, response: Response) -> dict[str, object]:
    given = (case.externalReference, case.subject, case.customerEmail, case.description)
    async with application.state.pool.acquire() as connection:
        pk, created = await connection.fetchrow(STATEMENT, *given)
    response.status_code = 201 if created else 200
    return {"caseId": pk, "status": "created" if created else "updated"}
