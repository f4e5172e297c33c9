# Load on a gateway over loopback. Called by slow_gateway.sh: program.
import asyncio
import re
import resource
import subprocess
import sys
import time

CONNECTIONS, REQUESTS, AT_ONCE = 1000, 10000, 50
resource.setrlimit(resource.RLIMIT_NOFILE, (8192, max(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
gateway = subprocess.Popen([sys.argv[1], "serve", "runs", "--port", "0"], stdout=subprocess.PIPE, text=True)
port = int(re.search(r":(\d+)/$", gateway.stdout.readline().strip()).group(1))
token = open("runs/.gateway/admin.token").read().strip()
HEAD = f"Host: h\r\nAuthorization: Bearer {token}\r\n"


def memory():  # KiB
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{gateway.pid}/status").read()).group(1))


async def open_one(first):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first.encode())
    await writer.drain()
    return reader, writer


async def worker(paths, counts):
    reader, writer = await open_one("")
    while paths:
        path = paths.pop()
        writer.write(f"GET {path} HTTP/1.1\r\n{HEAD}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        await reader.readexactly(int(re.search(r"Content-Length: (\d+)", head).group(1)))
        counts[head[9:12]] = counts.get(head[9:12], 0) + 1
    writer.close()


async def load():
    # Idle ones, some in the middle of a head: they are open while all else goes on, and are dropped in their time.
    idle = [await open_one("" if k % 2 else "GET / HTTP/1.1\r\nX-Half: ") for k in range(CONNECTIONS)]
    figures = []
    for _ in range(4):
        paths = ["/api/v1/runs", "/api/v1/me", "/", "/api/v1/runs/none", "/page.js"] * (REQUESTS // 20)
        counts, begin = {}, time.monotonic()
        await asyncio.gather(*(worker(paths, counts) for _ in range(AT_ONCE)))
        figures.append((memory(), time.monotonic() - begin))
        assert sum(counts.values()) == REQUESTS // 4 and set(counts) == {"200", "404"}, counts
    for reader, writer in idle:
        writer.close()
    return figures


figures = asyncio.run(load())
seconds = sum(s for _, s in figures)
print(f"{REQUESTS} requests beside {CONNECTIONS} open connections: {seconds:.1f} s, {REQUESTS / seconds:.0f} a second; resident after each quarter, KiB: {[m for m, _ in figures]}")
assert figures[-1][0] < 1.2 * figures[0][0], "memory grows with requests"
gateway.terminate()
assert gateway.wait(60) == 0
