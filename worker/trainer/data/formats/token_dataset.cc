#include "worker/trainer/data/formats/token_dataset.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace lctl {
namespace {

template <typename Token>
void widen(const char* from, std::int64_t count, std::int64_t* to) {
  for (std::int64_t i = 0; i < count; ++i) {
    Token token = 0;
    std::memcpy(&token, from + i * static_cast<std::int64_t>(sizeof(Token)), sizeof(Token));
    to[i] = token;
  }
}

TokenOptions checked(TokenOptions options) {
  if (options.block_size < 1 || options.stride < 0) {
    throw std::invalid_argument(
        fmt::format("token data: block_size must be >= 1 and stride >= 0, not {} and {}",
                    options.block_size, options.stride));
  }
  if (options.stride == 0) options.stride = options.block_size;
  return options;
}

}  // namespace

TokenDataset::TokenDataset(SharedBytes file, const TokenOptions& options)
    : file_(std::move(file)), options_(checked(options)) {
  const auto width = static_cast<std::int64_t>(options_.width);
  const auto bytes = static_cast<std::int64_t>(file_.size());
  if (bytes % width != 0) {
    throw BadSample(fmt::format(
        "{}: {} bytes are no whole number of tokens of {} bytes: the file is cut off, or "
        "its tokens have another width",
        file_.name(), bytes, width));
  }
  tokens_ = bytes / width;
  if (tokens_ <= options_.block_size) {
    throw BadSample(fmt::format(
        "{}: {} tokens are too few for one sample of block_size {} and the token behind it",
        file_.name(), tokens_, options_.block_size));
  }
  size_ = (tokens_ - options_.block_size - 1) / options_.stride + 1;
  columns_.fill({{options_.block_size}, at::kLong});
  // What the page cache cannot keep is read again for each sample: not 128 KiB for some KiB, then.
  if (options_.in_order) {
    file_.advise(Access::kInOrder);
  } else if (file_.size() > memory_size() / 2) {
    file_.advise(Access::kRandom);
  }
}

std::int64_t TokenDataset::size() const { return size_; }

void TokenDataset::check_ids(const std::int64_t* ids, std::int64_t count,
                             std::int64_t first) const {
  if (!options_.vocab_size.has_value()) return;
  const std::int64_t limit = *options_.vocab_size;
  const std::int64_t* end = ids + count;
  bool good = true;  // a loop without a way out is a fast one
  for (const std::int64_t* id = ids; id != end; ++id) good &= *id < limit;
  if (good) return;
  const std::int64_t* wrong = std::find_if(ids, end, [&](std::int64_t id) { return id >= limit; });
  const std::int64_t position = first + (wrong - ids);
  throw BadSample(fmt::format(
      "{}: token {} (at byte {}) is {}, but vocab_size is {}: another tokenizer has made the file, "
      "or its tokens have another width",
      file_.name(), position, position * static_cast<std::int64_t>(options_.width), *wrong, limit));
}

void TokenDataset::copy_sample(std::int64_t index, std::int64_t* x, std::int64_t* y) const {
  const std::int64_t first = index * options_.stride;
  const std::int64_t block = options_.block_size;
  const char* from = file_.data() + first * static_cast<std::int64_t>(options_.width);
  // x and then the one token that only y has.
  const auto copy = [&](auto token) {
    using Token = decltype(token);
    widen<Token>(from, block, x);
    widen<Token>(from + block * static_cast<std::int64_t>(sizeof(Token)), 1, y + block - 1);
  };
  if (options_.width == TokenWidth::kUint16) {
    copy(std::uint16_t{});
  } else {
    copy(std::uint32_t{});
  }
  std::copy(x + 1, x + block, y);
  check_ids(x, block, first);
  check_ids(y + block - 1, 1, first + block);
}

Batch TokenDataset::get(std::int64_t index, RandomStream& /*random*/) const {
  at::Tensor x = at::empty({options_.block_size}, at::kLong);
  at::Tensor y = at::empty({options_.block_size}, at::kLong);
  copy_sample(index, x.mutable_data_ptr<std::int64_t>(), y.mutable_data_ptr<std::int64_t>());
  return Batch::List{std::move(x), std::move(y)};
}

void TokenDataset::put_rows(const BatchRequest& request, BatchBuilder& batch) const {
  const std::vector<at::Tensor>* columns = batch.columns(columns_);
  if (columns == nullptr) return Dataset::put_rows(request, batch);
  const std::int64_t block = options_.block_size;
  auto* x = (*columns)[0].mutable_data_ptr<std::int64_t>();
  auto* y = (*columns)[1].mutable_data_ptr<std::int64_t>();
  for (std::size_t i = 0; i < request.indices.size(); ++i) {
    const std::size_t row = request.first_row + i;
    const std::int64_t at = static_cast<std::int64_t>(row) * block;
    try {
      copy_sample(request.indices[i], x + at, y + at);
      batch.mark(row, 1);
    } catch (...) {
      handle_sample_error(fmt::format("sample {}", request.indices[i]), request.skipped);
    }
  }
}

std::size_t TokenDataset::samples_at_once() const {
  constexpr std::int64_t kTokens = 8192;
  return static_cast<std::size_t>(std::max<std::int64_t>(1, kTokens / options_.block_size));
}

}  // namespace lctl
