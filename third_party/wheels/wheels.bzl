"""A repository of unpacked wheels (see fetch.py)."""

def _wheels_impl(ctx):
    command = ["python3", ctx.path(ctx.attr._fetch), ctx.path(ctx.attr.lock), "site"]
    result = ctx.execute(command + ctx.attr.packages, timeout = 3600, quiet = False)
    if result.return_code != 0:
        fail("%s: %s" % (ctx.name, result.stderr or result.stdout))
    for path in ctx.attr.without:
        ctx.delete("site/" + path)
    ctx.symlink(ctx.path(ctx.attr.build_file), "BUILD.bazel")

wheels = repository_rule(
    implementation = _wheels_impl,
    attrs = {
        "build_file": attr.label(mandatory = True),
        "lock": attr.label(mandatory = True),
        "packages": attr.string_list(doc = "none = all of the lock"),
        "without": attr.string_list(doc = "files and folders of the wheels to leave out"),
        "_fetch": attr.label(default = "//third_party/wheels:fetch.py"),
    },
    environ = ["LCTL_WHEEL_CACHE"],
)
