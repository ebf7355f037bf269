// What the sanitizers' runtimes ask a program when it starts. Compiled in, so that processes which
// a test starts in another folder or environment behave alike. Empty in ordinary builds.

#if defined(__SANITIZE_THREAD__)

// LibTorch's libraries are not built with ThreadSanitizer, and it sees races inside them (c10d's
// flight recorder, Gloo's work objects). Never add `called_from_lib:` for these: it blinds the
// mutex interceptors.
extern "C" const char* __tsan_default_suppressions() {
  return "race:libtorch_cpu.so\n"
         "race:libc10.so\n"
         "race:libgomp.so\n";
}

extern "C" const char* __tsan_default_options() {
  return "halt_on_error=1:second_deadlock_stack=1";
}

#endif

#if defined(__SANITIZE_ADDRESS__)

extern "C" const char* __asan_default_options() { return "detect_leaks=1:strict_string_checks=1"; }

// LibTorch's PyTorchStreamReader loses its zip reader when it refuses a damaged file.
extern "C" const char* __lsan_default_suppressions() { return "leak:mz_zip_reader_init\n"; }

extern "C" const char* __ubsan_default_options() { return "print_stacktrace=1:halt_on_error=1"; }

#endif
