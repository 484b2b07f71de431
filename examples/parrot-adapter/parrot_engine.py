"""Parrot, the engine: a stand-alone server that repeats what it hears, a word at a time.

python parrot_engine.py 9100

GET  /awake   {"awake": true, "name": "polly", "parrot": "1.4", "memory": 2048, "perches": 2, "busy": 0}
POST /speak   {"heard": "...", "words": 16, "seed": 7}
              -> text/event-stream of {"say": " word"}, then {"done": "silent" | "enough", "heard": 3, "said": 5}
              -> 503 {"error": {"type": "crowded", ...}} when perches and fence are taken, 422 for what it cannot hear
"""

import contextlib
import json
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PERCHES = 2
FENCE = 2  # so many more may wait for a perch
SECONDS_PER_WORD = 0.05
places = threading.Semaphore(PERCHES + FENCE)
perches = threading.Semaphore(PERCHES)
busy: set[int] = set()


class Parrot(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path != "/awake":
            self.refuse(404, "nowhere", "there is /awake and /speak")
            return
        about = {"name": "polly", "parrot": "1.4", "memory": 2048, "perches": PERCHES, "busy": len(busy)}
        self.answer(200, {"awake": True, **about})

    def do_POST(self) -> None:
        try:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard, words, seed = str(asked["heard"]).split(), int(asked["words"]), int(asked["seed"])
        except (KeyError, TypeError, ValueError):
            self.refuse(422, "unheard", "say what to repeat: heard, words, seed")
            return
        if not places.acquire(blocking=False):
            self.refuse(503, "crowded", "every perch is taken, and the fence too")
            return
        try:
            with perches:
                busy.add(id(self))
                self.speak(heard, words, seed)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # nobody listens any more
        finally:
            busy.discard(id(self))
            places.release()

    def speak(self, heard: list[str], words: int, seed: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        choose = random.Random(seed)
        said = 0
        while said < words and heard:
            self.event({"say": " " + choose.choice(heard)})
            said += 1
            time.sleep(SECONDS_PER_WORD)
        self.event({"done": "enough" if said == words else "silent", "heard": len(heard), "said": said})

    def event(self, data: dict[str, object]) -> None:
        self.wfile.write(f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode())
        self.wfile.flush()

    def refuse(self, status: int, kind: str, message: str) -> None:
        self.answer(status, {"error": {"type": kind, "message": message}})

    def answer(self, status: int, body: dict[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9100
    with ThreadingHTTPServer(("127.0.0.1", port), Parrot) as server:
        print(f"polly is awake at http://127.0.0.1:{server.server_port}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
