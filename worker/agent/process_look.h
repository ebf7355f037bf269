// What the kernel says a process is doing, for one that does not tell by itself.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace lctl::agent {

// The third field of /proc/<pid>/stat; '?' when the text has none.
char parse_state(std::string_view stat);

// Of its main thread; '?' when it is gone.
char process_state(pid_t pid);

// A debugger holds it, on purpose.
inline bool is_traced(char state) { return state == 't'; }

// "stopped (SIGSTOP)", "waiting in the kernel for a device or a file system (D, in rpc_wait_bit)";
// "" for what is usual.
std::string describe_state(pid_t pid);

// Its threads in one line, at most `limit` of them: "lctl-trainer 812 S futex_wait_queue, …".
std::string describe_threads(pid_t pid, std::size_t limit = 40);

}  // namespace lctl::agent
