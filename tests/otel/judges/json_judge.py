"""json_judge.py GENERATED OUT - compares JSON with protobuf, field by field; then Zipkin's JSON."""
import base64
import json
import pathlib
import sys

sys.path.insert(0, sys.argv[1])
out = pathlib.Path(sys.argv[2])

from google.protobuf import json_format  # noqa: E402
import logs_service_pb2  # noqa: E402
import metrics_service_pb2  # noqa: E402
import trace_service_pb2  # noqa: E402

failed = 0


def check(ok, what):
    global failed
    if not ok:
        failed += 1
        print("FAILED:", what)


def unique(pairs):
    keys = [k for k, _ in pairs]
    check(len(keys) == len(set(keys)), f"a key twice in {keys}")
    return dict(pairs)


def load(name):
    data = (out / name).read_bytes()
    check(b"\n" not in data, f"{name} is one line")
    return json.loads(data.decode("utf-8", "strict"), object_pairs_hook=unique)


def base64_ids(value):
    """Ids are hex in OTLP, and base64 in protobuf's own mapping."""
    if isinstance(value, list):
        return [base64_ids(v) for v in value]
    if not isinstance(value, dict):
        return value
    return {k: base64.b64encode(bytes.fromhex(v)).decode()
            if k in ("traceId", "spanId", "parentSpanId") else base64_ids(v)
            for k, v in value.items()}


def strings_of_64(name, value):
    """64-bit integers are strings, enums and 32-bit ones numbers."""
    if isinstance(value, list):
        for v in value:
            strings_of_64(name, v)
    elif isinstance(value, dict):
        for k, v in value.items():
            if k in ("intValue", "asInt", "count", "zeroCount") or k.endswith("UnixNano"):
                check(isinstance(v, str), f"{name}: {k} is a string")
            if k == "bucketCounts":
                check(all(isinstance(c, str) for c in v), f"{name}: {k} are strings")
            if k in ("kind", "code", "severityNumber", "aggregationTemporality", "flags", "scale",
                     "offset") or k.startswith("dropped"):
                check(isinstance(v, int), f"{name}: {k} is a number")
            strings_of_64(name, v)


for name, kind in (("traces", trace_service_pb2.ExportTraceServiceRequest),
                   ("metrics", metrics_service_pb2.ExportMetricsServiceRequest),
                   ("logs", logs_service_pb2.ExportLogsServiceRequest)):
    of_json, of_pb = kind(), kind()
    document = load(name + ".json")
    strings_of_64(name, document)
    json_format.ParseDict(base64_ids(document), of_json)
    of_pb.ParseFromString((out / (name + ".pb")).read_bytes())
    a, b = of_json.SerializeToString(deterministic=True), of_pb.SerializeToString(deterministic=True)
    check(len(a) > 200, f"{name} has something in it")
    if a != b:
        check(False, f"{name}: JSON and protobuf differ")
        texts = [json_format.MessageToJson(m).split("\n") for m in (of_json, of_pb)]
        for x, y in zip(*texts):
            if x != y:
                print("   json:", x, "\n   pb:  ", y)
                break

spans = load("zipkin.json")
first = spans[0]
check([s["id"] for s in spans] == ["ff00000000000002", "0200000000000000", "0300000000000000"],
      "ids")
check(first["traceId"] == "0abc0000000000000000000000000001", "trace id")
check(first["parentId"] == "0300000000000004", "parent id")
check("parentId" not in spans[1], "a root has no parent")
check(first["kind"] == "CLIENT" and "kind" not in spans[1] and spans[2]["kind"] == "SERVER", "kinds")
check(first["timestamp"] == 1763750000123456 and first["duration"] == 1, "microseconds")
check(first["localEndpoint"] == {"serviceName": "shop"}, "service name")
check(all(isinstance(v, str) for s in spans for v in s.get("tags", {}).values()), "tags are text")
check(first["tags"]["otel.status_code"] == "ERROR" and first["tags"]["error"] == 'no "good"',
      "error status")
check(spans[2]["tags"]["otel.status_code"] == "OK" and "error" not in spans[2]["tags"], "ok status")
check("otel.status_code" not in spans[1]["tags"], "unset status")
check(first["tags"]["yes"] == "true" and first["tags"]["min"] == str(-2**63), "tags of numbers")
check(json.loads(first["tags"]["i64s"]) == [0, -1, 2**63 - 1, -2**63], "tags of arrays")
check(first["tags"]["otel.dropped_links_count"] == "7", "dropped")
check(first["tags"]["otel.scope.name"] == "first" and first["tags"]["otel.scope.version"] == "1.0",
      "scope")
check(first["annotations"][0] == {"timestamp": 1763750000123456, "value": "plain"}, "annotation")
check(json.loads("{" + first["annotations"][1]["value"] + "}")["full"]["n"] == -5,
      "annotation with attributes")
check("annotations" not in spans[1], "no annotations")
print("json_judge:", "failed" if failed else "JSON and protobuf agree on all three signals")
sys.exit(1 if failed else 0)
