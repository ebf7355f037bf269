// What a run says to its user: short lines on stderr, from rank 0 alone where all ranks mean the
// same.
#pragma once

#include <string>
#include <string_view>

namespace lctl::console {

// Set once, before training starts. Default 0.
void set_rank(int global_rank);

// Lines like Lightning's rank_zero_info / rank_zero_warn: those of other ranks are dropped. A
// warning appears once per text and process. Any thread.
void info(std::string_view text);
void warn(std::string_view text);

// What this process does or waits for by itself, such as a download of its node: from every rank,
// "[rank: 8] …" from others than 0. Any thread.
void info_of_rank(std::string_view text);

}  // namespace lctl::console
