"""Protocol Buffers by Debian's protoc. Paths are from the repository root, as for C++ includes."""

def cc_proto(name, srcs, deps = [], grpc = False, visibility = None):
    """A C++ library of the messages (and, with grpc, the services) in `srcs`.

    Args:
      name: of the cc_library; `<name>_protos` holds the sources, its own and those of deps.
      srcs: .proto files of this package.
      deps: other cc_proto targets whose files are imported.
      grpc: also generate service stubs; the library then takes gRPC along.
      visibility: as usual.
    """
    protos = name + "_protos"
    native.filegroup(
        name = protos,
        srcs = srcs + [dep + "_protos" for dep in deps],
        visibility = visibility,
    )
    headers = []
    sources = []
    for src in srcs:
        stem = src[:-len(".proto")]
        headers.append(stem + ".pb.h")
        sources.append(stem + ".pb.cc")
        if grpc:
            headers.append(stem + ".grpc.pb.h")
            sources.append(stem + ".grpc.pb.cc")
    command = "protoc -I. --cpp_out=$(GENDIR)"
    if grpc:
        command += " --plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin --grpc_out=$(GENDIR)"
    for src in srcs:
        command += " $(location " + src + ")"
    native.genrule(
        name = name + "_generated",
        srcs = srcs + [":" + protos],
        outs = headers + sources,
        cmd = command,
    )
    native.cc_library(
        name = name,
        srcs = sources,
        hdrs = headers,
        copts = ["-w"],
        deps = deps + [
            "//third_party/system:grpc" if grpc else "//third_party/system:protobuf",
        ],
        visibility = visibility,
    )
