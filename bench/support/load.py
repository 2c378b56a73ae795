"""Sends requests over kept connections as fast as answers come, from a process of its own; prints what it saw.

Arguments: port, path, connections, seconds, token, references.
"""

import asyncio
import json
import sys
import time


async def lane(port, path, token, references, until, took, statuses, number):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    turn = number
    while time.perf_counter() < until:
        body = json.dumps(
            {
                "externalReference": f"R-{turn * 7919 % references}",
                "customerEmail": "ann@example.org",
                "subject": f"No power {turn}",
                "description": "Since noon. " * 10,
            }
        ).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
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
        await reader.readexactly(length)
        took.append(time.perf_counter() - began)
        statuses[status] = statuses.get(status, 0) + 1
        turn += 16
    writer.close()


async def main():
    port, path, connections, seconds, token, references = sys.argv[1:]
    took, statuses = [], {}
    began = time.perf_counter()
    until = began + float(seconds)
    await asyncio.gather(
        *(
            lane(int(port), path, token, int(references), until, took, statuses, number)
            for number in range(int(connections))
        )
    )
    spent = time.perf_counter() - began
    took.sort()
    p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
    print(json.dumps({"rate": len(took) / spent, "p50": p50 * 1000, "p99": p99 * 1000, "statuses": statuses}))


asyncio.run(main())
