"""A receiver of OpenTelemetry logs over HTTP: a double, not a collector.

What it is sent is decoded by the classes that OpenTelemetry generates from its own protocol definitions (the package
opentelemetry-proto). Each log record becomes one line of JSON in the file that is its argument; its answers are those of
the OTLP specification 1.x: 200 with an ExportLogsServiceResponse in protobuf, 400 for what can't be decoded. The file
ANSWER beside it, when there is one, says which status it answers with instead.
"""
import json
import pathlib
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

OUT = pathlib.Path(sys.argv[1])
ANSWER = OUT.parent / "ANSWER"


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"] or 0)) if "content-length" in self.headers else self.chunks()
        if ANSWER.exists():
            return self.answer(int(ANSWER.read_text()), b"")
        if self.path != "/v1/logs" or self.headers["content-type"] != "application/x-protobuf":
            return self.answer(404, b"")
        request = ExportLogsServiceRequest()
        try:
            request.ParseFromString(body)
        except Exception:  # whatever the library throws, it is no request
            return self.answer(400, b"")
        lines = []
        for resource_logs in request.resource_logs:
            for scope_logs in resource_logs.scope_logs:
                for record in scope_logs.log_records:
                    lines.append(
                        {
                            "resource": MessageToDict(resource_logs.resource),
                            "scope": MessageToDict(scope_logs.scope),
                            "record": MessageToDict(record),
                            "authorization": self.headers["authorization"],
                            "agent": self.headers["user-agent"],
                        }
                    )
        with OUT.open("a") as out:
            out.write("".join(json.dumps(line) + "\n" for line in lines))
        self.answer(200, ExportLogsServiceResponse().SerializeToString())

    def chunks(self):
        body = b""
        while True:
            size = int(self.rfile.readline().split(b";")[0], 16)
            body += self.rfile.read(size)
            self.rfile.readline()
            if size == 0:
                return body

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(f"port {server.server_port}", flush=True)
server.serve_forever()
