// What a run says to its user: short lines on stderr, from rank 0 only.
#pragma once

#include <string>
#include <string_view>

namespace lctl::console {

// Set once, before training starts. Lines of other ranks are dropped. Default 0.
void set_rank(int global_rank);

// Lines like Lightning's rank_zero_info / rank_zero_warn. A warning appears once per text and
// process. Any thread.
void info(std::string_view text);
void warn(std::string_view text);

}  // namespace lctl::console
