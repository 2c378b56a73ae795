"""Sends requests over kept connections as fast as answers come, from a process of its own; prints what it saw.

The one argument is a JSON object: `port`, `method`, `path`, `token`, `connections`, `seconds`, `references` (how many
different ones are named), `row` (the text of one body) and, for bodies of several, `rows` and `around` (what stands
before and after them). In `path` and `row`, `@reference@` and `@turn@` are replaced by numbers.
"""

import asyncio
import json
import sys
import time


def filled(text, turn, references):
    return text.replace("@reference@", str(turn * 7919 % references)).replace("@turn@", str(turn))


def body_of(given, turn):
    rows, references = given.get("rows", 1), given["references"]
    before, after = given.get("around", ["", ""])
    return (
        before + ",".join(filled(given["row"], turn * rows + place, references) for place in range(rows)) + after
    ).encode()


async def lane(given, until, took, statuses, number):
    reader, writer = await asyncio.open_connection("127.0.0.1", given["port"])
    turn = number
    while time.perf_counter() < until:
        body = body_of(given, turn)
        head = (
            f"{given['method']} {filled(given['path'], turn, given['references'])} HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{given['port']}\r\nAuthorization: Bearer {given['token']}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        began = time.perf_counter()
        writer.write(head.encode() + body)
        status = int((await reader.readline()).split()[1])
        length, is_chunked = 0, False
        while (line := await reader.readline()) != b"\r\n":
            lowered = line.lower()
            if lowered.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            is_chunked = is_chunked or lowered.startswith(b"transfer-encoding: chunked")
        while is_chunked and (size := int(await reader.readline(), 16)) + 2:
            await reader.readexactly(size + 2)
            if not size:
                break
        answered = await reader.readexactly(length)
        took.append(time.perf_counter() - began)
        if b'"success":false' in answered:
            status = 599
        statuses[status] = statuses.get(status, 0) + 1
        turn += given["connections"]
    writer.close()


async def main():
    given = json.loads(sys.argv[1])
    took, statuses = [], {}
    began = time.perf_counter()
    until = began + given["seconds"]
    await asyncio.gather(*(lane(given, until, took, statuses, number) for number in range(given["connections"])))
    spent = time.perf_counter() - began
    took.sort()
    p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
    print(json.dumps({"rate": len(took) / spent, "p50": p50 * 1000, "p99": p99 * 1000, "statuses": statuses}))


asyncio.run(main())
