// What a rank prints, and patterns. The input is a pattern, a line end, and output that arrives in
// two pieces: whatever the cut, the same line is found.
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/fuzz.h"
#include "worker/agent/log_scanner.h"

namespace lctl::fuzz {

std::vector<std::string> seeds() {
  return {"CUDA error: (ECC|Xid \\d+)\nstep 1\nCUDA error: Xid 79\nstep 2",
          "^loss=nan$\nloss=0.1\rloss=nan\rloss=nan\n", "(\nx\n",
          "[[:^alpha:]]{1,3}\\xff\n\xff\xff\n"};
}

}  // namespace lctl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using lctl::agent::LogScanner;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\n');
  if (end == std::string_view::npos || end > 1024) return 0;
  lctl::v1::JobSpec spec;
  spec.add_log_policies()->set_pattern(std::string(input.substr(0, end)));
  const std::string_view text = input.substr(end + 1);

  LogScanner whole(spec.log_policies(), {});
  whole.scan(lctl::v1::STREAM_KIND_STDOUT, 0, text);
  whole.end(lctl::v1::STREAM_KIND_STDOUT);
  LogScanner pieces(spec.log_policies(), {});
  const std::size_t cut = text.size() / 2;
  pieces.scan(lctl::v1::STREAM_KIND_STDOUT, 0, text.substr(0, cut));
  pieces.scan(lctl::v1::STREAM_KIND_STDOUT, cut, text.substr(cut));
  pieces.end(lctl::v1::STREAM_KIND_STDOUT);
  if (whole.known() != pieces.known()) std::abort();
  return 0;
}
