"""Runs a command with MiniStack as its DynamoDB: infra/engine/run.py COMMAND..."""

import os
import socket
import subprocess
import sys
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_listening(engine, port):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and engine.poll() is None:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit("MiniStack does not answer")


def main(command):
    port = free_port()
    # It serves all requests on one thread: each is atomic. State is in memory.
    engine = subprocess.Popen(
        [sys.executable, "-m", "ministack"],
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "SERVICES": "dynamodb,dynamodbstreams",
            "LOG_LEVEL": "WARNING",
        },
    )
    try:
        wait_listening(engine, port)
        print(f"MiniStack serves DynamoDB at 127.0.0.1:{port}", flush=True)
        return subprocess.run(
            command,
            env=os.environ | {"AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{port}"},
        ).returncode
    finally:
        engine.terminate()
        try:
            engine.wait(10)
        except subprocess.TimeoutExpired:
            engine.kill()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
