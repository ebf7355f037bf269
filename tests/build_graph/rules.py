"""Who may use whom: for each folder, what its targets must never reach, or all that they may reach.

The table of docs/architecture.md as data. A pattern is a label, `//folder/...` or `@repository`.
"""

GRPC = "//third_party/system:grpc"
LIBTORCH = ("@libtorch", "@libtorch_cuda")
IO_LIBRARIES = (
    GRPC,
    "//third_party/system:boost",
    "//third_party/system:openssl",
    "//third_party/system:protobuf",
    "//third_party/system:spdlog",
    "//third_party/system:sqlite",
    "//third_party/system:sqlitecpp",
    "//third_party/system:systemd",
)

FORBIDDEN = {
    "//jobspec/...": (GRPC, *LIBTORCH, "//storage/...", "//server/...", "//worker/...", "//client/..."),
    "//storage/...": (GRPC, *LIBTORCH, "//jobspec/...", "//server/...", "//worker/...", "//client/..."),
    "//http/...": (GRPC, *LIBTORCH, "//proto/...", "//storage/...", "//server/...", "//worker/...", "//client/..."),
    "//server/...": (*LIBTORCH, "//worker/...", "//client/..."),
    "//server/scheduler/...": (*IO_LIBRARIES, "//base:clock", "//base:log", "//proto/...", "//storage/..."),
    "//server/jobs/...": (GRPC, "//server/services/...", "//server/nodes/...", "//server/ingest/..."),
    "//server/ingest/...": (GRPC, "//server/services/...", "//server/nodes/..."),
    "//server/retention/...": (GRPC, "//server/services/...", "//server/nodes/...", "//server/ingest/..."),
    "//server/nodes/...": ("//server/services/...", "//server/ingest/..."),
    "//server/mlflow/...": (GRPC, "//server/jobs/...", "//server/nodes/...", "//server/ingest/...", "//server/services/..."),
    "//server/monitoring/...": ("//server/services/...",),
    "//worker/spool/...": (GRPC, *LIBTORCH, "//third_party/system:boost", "//http/...", "//worker/agent/...", "//worker/trainer/..."),
    "//worker/pulse/...": (GRPC, *LIBTORCH, "//third_party/system:boost", "//http/...", "//proto/...", "//worker/agent/...", "//worker/trainer/..."),
    "//worker/keeper/...": (GRPC, *LIBTORCH, "//worker/agent/...", "//worker/trainer/..."),
    "//worker/agent/...": (*LIBTORCH, "//worker/trainer/...", "//server/...", "//storage/...", "//client/..."),
    "//worker/trainer/...": (GRPC, "//third_party/system:re2", "//worker/agent/...", "//server/...", "//storage/...", "//client/..."),
    "//client/...": (*LIBTORCH, "//server/...", "//worker/...", "//storage/..."),
}

# Stricter: nothing but these.
ALLOWED = {
    "//base/...": (
        "//base/...",
        "//third_party/system:absl",
        "//third_party/system:fmt",
        "//third_party/system:re2",
        "//third_party/system:spdlog",
    ),
    "//proto/...": (
        "//proto/...",
        "//third_party/system:absl",
        "//third_party/system:grpc",
        "//third_party/system:protobuf",
    ),
    "//http/...": (
        "//http/...",
        "//base:check",
        "//base:clock",
        "//base:log",
        "//base:status",
        "//base:utf8",
        "//base:version",
        "//third_party/system:absl",
        "//third_party/system:boost",
        "//third_party/system:fmt",
        "//third_party/system:nlohmann_json",
        "//third_party/system:spdlog",
    ),
    "//server/scheduler/...": (
        "//server/scheduler/...",
        "//base:check",
        "//base:id",
        "//base:status",
        "//third_party/system:absl",
        "//third_party/system:fmt",
    ),
}
