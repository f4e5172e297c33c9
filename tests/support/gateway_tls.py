# Speaks TLS, and other things, to a gateway. Called by fast_gateway_tls.sh: program.
import atexit
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import warnings

program = sys.argv[1]
gateway = subprocess.Popen([program, "serve", "runs", "--port", "0", "--data-root", "data", "--certificate", "gateway.pem", "--key", "gateway.key"], stdout=subprocess.PIPE, text=True)
atexit.register(gateway.kill)
line = gateway.stdout.readline()
port = int(re.search(r"https://127\.0\.0\.1:(\d+)/$", line.strip()).group(1))
token = open("runs/.gateway/admin.token").read().strip()
trusting = ssl.create_default_context(cafile="gateway.pem")


def ask(method, path, body=None, context=trusting):
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=120, context=context)
    connection.request(method, path, json.dumps(body) if body is not None else None, {"Authorization": "Bearer " + token, "Content-Type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


answer, page = ask("GET", "/")
assert answer.status == 200 and b"<html" in page and answer.headers["Strict-Transport-Security"], answer.headers
answer, content = ask("POST", "/api/v1/runs", {"job": open("job.yaml").read()})
assert answer.status == 202, content
run = json.loads(content)["id"]
answer, events = ask("GET", f"/api/v1/runs/{run}/events")
assert re.findall(b"^event: (.*)$", events, re.M)[-1] == b"end" and b'"state":"done"' in events, events[-500:]
answer, content = ask("GET", f"/api/v1/runs/{run}/files/results/events.csv")
assert answer.status == 200 and content == open(f"runs/{run}/results/events.csv", "rb").read() and len(content) > 3 << 18, (answer.status, len(content))  # several blocks

# A stranger's certificate is not that of this gateway.
try:
    ask("GET", "/", context=ssl.create_default_context(cafile="stranger.pem"))
    raise AssertionError("a stranger was believed")
except ssl.SSLCertVerificationError:
    pass

# Old TLS: told so by the gateway, not refused by this side.
old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
warnings.simplefilter("ignore", DeprecationWarning)  # of what is to be refused
old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
old.set_ciphers("ALL:@SECLEVEL=0")
old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
try:
    ask("GET", "/", context=old)
    raise AssertionError("TLS 1.1 was taken")
except ssl.SSLError as e:
    assert "PROTOCOL_VERSION" in str(e).upper().replace(" ", "_"), e

# Plain HTTP gets no HTTP back.
plain = socket.create_connection(("127.0.0.1", port), 60)
plain.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
heard = b""
try:
    while more := plain.recv(4096):
        heard += more
except ConnectionResetError:
    pass
assert b"HTTP/" not in heard, heard
assert ask("GET", "/api/v1/health")[0].status == 200
gateway.send_signal(signal.SIGTERM)
assert gateway.wait(120) == 0
